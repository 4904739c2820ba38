/*
 * submit.h — a job as its client wrote it, checked, and handed to the engine. Every door comes through here.
 */
#pragma once
#include "broker.h"
#include "fields.h"
#include "limit_key.h"
#include "refusal.h"

/* Where a job comes from, and what its defaults depend on. */
struct submit_origin {
	uint64_t client, tag; /* as struct submission has them; 0: nobody waits on a connection */
	bool waits; /* somebody waits for its end: then no retries, and kept in memory, unless asked for */
	bool references; /* its arguments may refer to earlier results (reference.h): it stands in a chain */
	bool calls_webhook; /* of webhook.c alone: the daemon signs what it sends */
	bool exempt; /* it follows from what was accepted before: no limit of the door refuses it */
};

struct submitted {
	struct job *job;
	bool duplicate; /* it was there before: by its idempotency key, or as the unfinished one of its kind */
};

/* A submission that may be changed before it is handed to the engine. */
struct prepared {
	struct submission s; /* its options are valid until the next one is prepared; what `fields` holds as long as they */
	struct bytes *args;
	char unique_key[36];
	char limit_key[LIMIT_KEY_MAX + 1]; /* by its arguments */
};
/* Check the arguments and gather what the engine needs: type by name, arguments as text and, if the caller has them parsed
 * already, as a tree (or NULL: parsed here). -EINVAL with `r` filled: refused. */
int submit_prepare(struct broker *b, const struct job_type *type, const struct job_fields *fields,
		   struct span args, const json_t *tree, const struct submit_origin *origin,
		   struct prepared *ret_prepared, struct refusal *r) GA_MUST_CHECK;
void prepared_done(struct prepared *p);
/* How something is to be kept, by name or (NULL) by default, and whether that is possible now. -EINVAL. */
int submit_durability(const struct broker *b, const char *name, bool waits,
		      enum job_durability *ret_durability, struct refusal *r) GA_MUST_CHECK;
/* Why engine_submit() refused it, with `error`. -EINVAL. */
int submit_refuse(const struct broker *b, int error, struct refusal *r);

/* Prepare and submit. */
int submit_job(struct broker *b, const struct job_type *type, const struct job_fields *fields,
	       struct span args, const json_t *tree, const struct submit_origin *origin,
	       struct submitted *ret_submitted, struct refusal *r) GA_MUST_CHECK;
/* The same from a whole job object, parsed already; `text` is what it was parsed from. */
int submit_object(struct broker *b, const json_t *object, struct span text,
		  const struct submit_origin *origin, struct submitted *ret_submitted,
		  struct refusal *r) GA_MUST_CHECK;
/* Whether it would be accepted as it is written; that there is no room now doesn't matter. */
int submit_check(struct broker *b, const json_t *object, struct span text,
		 struct refusal *r) GA_MUST_CHECK;
/* The type by that name; -EINVAL with `r` naming the nearest known one. */
int submit_type(struct broker *b, struct span name, const struct job_type **ret_type,
		struct refusal *r) GA_MUST_CHECK;
