/*
 * group_ask.h — a request about a group, on its way: finding the group, wherever it is, and its members' results.
 */
#pragma once
#include "engine_groups.h"
#include "group_desk.h"
#include "verbs.h"

struct group_ask;
typedef void (*group_ask_fn)(struct group_ask *a, struct group *group);

/* What results are asked for. */
struct results_range {
	uint32_t cursor;   /* how many the client has */
	uint32_t limit;    /* of results in one answer */
	size_t inline_max; /* bytes of one that is shown inside */
	bool follow;       /* wait for the next one, until the request's deadline */
	bool array;        /* one JSON object, not lines */
	bool whole;        /* the group itself, with "results" in it */
	bool has_order, by_completion;
};

/* The request's `more`. */
struct group_ask {
	struct verb_request *q;
	struct uuid id;
	uint64_t sequence;
	struct group *alone; /* it is in the store alone: unpacked from its row */
	group_ask_fn found;
	struct group_watch watch;
	struct results_range range;
	uint32_t lines; /* results in `out` */
	struct buf out;
};

/* NULL: no memory, and refused. */
struct group_ask *group_ask_new(struct verb_request *q);
/* Go on with fn and the group named by the path's {id}; refuses by itself. */
void group_ask_find(struct group_ask *a, struct span id, group_ask_fn fn);
/* As it is now; NULL: it has left meanwhile. */
struct group *group_ask_group(const struct group_ask *a);
void group_ask_refuse(struct group_ask *a, int error);

/* Answer with a.range's results. */
void results_go_on(struct group_ask *a);
