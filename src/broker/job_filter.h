/*
 * job_filter.h — which jobs a list or a bulk action is about: by state, type, queue, tag and time of acceptance.
 */
#pragma once
#include "verbs.h"

struct job_filter {
	uint32_t states;                   /* bits; 0: any */
	char type[80], queue[80], tag[80]; /* "": any */
	int64_t since_wall;                /* 0: ever */
};
/* One of its parts, by name, as text: 1; 0: there is no such part; -EINVAL: it doesn't take this. */
int filter_take(struct broker *b, struct job_filter *f, const char *name, const char *value,
		struct refusal *r) GA_MUST_CHECK;
/* All of them from a request's query. */
int filter_read(const struct verb_request *q, struct job_filter *ret_filter,
		struct refusal *r) GA_MUST_CHECK;
bool filter_matches(struct broker *b, const struct job_filter *f, const struct job *job);
/* Whether finished jobs may match, so that the store is worth asking; what it is asked then. */
bool filter_wants_finished(const struct job_filter *f);
void filter_for_store(const struct job_filter *f, uint64_t below, uint32_t limit,
		      struct store_filter *ret_filter);
