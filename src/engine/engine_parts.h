/*
 * engine_parts.h — what the engine's own files share. Nobody else includes it, but for its tests.
 *
 * Memory: whatever an accepted job may need on its way to a final state, short of its result, is allocated when it is
 * submitted. So events that can't be refused (a worker's death, the time) don't fail for want of memory. The one
 * exception is the list of actions: where it can't grow in such an event the process aborts, as documented there.
 */
#pragma once
#include "crashes_parts.h"
#include "engine.h"
#include "finished_parts.h"
#include "groups_parts.h"
#include "heap.h"
#include "job_table.h"
#include "jobs_parts.h"
#include "list.h"
#include "map.h"
#include "random.h"
#include "ready.h"
#include "workers_parts.h"

/* ---- queues and clients: queues.c, clients.c ---- */
/* A queue takes about 1 KiB, and its name comes from whoever submits: hence a limit. */
enum { QUEUE_LIMIT = 65536 };

struct client {
	uint64_t name;
	struct list jobs; /* unfinished, by job.mates */
	bool indexed;
	struct map by_tag; /* then: of each tag the first job in the list */
};
int queue_acquire(struct engine *e, struct span name, struct engine_queue **ret_queue) GA_MUST_CHECK;
void queue_release(struct engine *e, struct engine_queue *q);
void queues_free(struct engine *e);
int client_acquire(struct engine *e, uint64_t name, struct client **ret_client) GA_MUST_CHECK;
void client_adopt(struct engine *e, struct client *c, struct job *job);
/* A job leaves the list of its client; to be called if there are indexed_clients. */
void client_forget(struct engine *e, const struct job *job);
bool tag_matches(const void *item, const void *key);
void clients_free(struct engine *e);
bool queue_matches(const void *item, const void *key);
bool client_matches(const void *item, const void *key);

/* ---- what is saved: durable.c ---- */
struct withheld_action {
	struct action action;
	uint64_t until; /* this batch is committed */
};
static inline bool job_is_durable(const struct job *job)
{
	return job->profile->durability != DURABILITY_MEMORY;
}
/* A durable job is to be saved as it is at the end of the turn. Before what tells of the change is pushed. */
void job_changed(struct engine *e, struct job *job, bool sync);
int changes_reserve(struct engine *e) GA_MUST_CHECK; /* room for one more; else job_changed() aborts */
void action_withhold(struct engine *e, const struct action *a, uint64_t until);

struct engine {
	struct engine_options options;
	int64_t now, now_wall;
	int64_t wall_offset; /* wall time - engine time, as dues that follow the wall clock were reckoned */
	bool wall_known;
	uint64_t last_ms; /* of an id */
	uint64_t next_sequence;
	uint32_t token_counter;
	bool tokens_wrapped; /* then counters may be in use */
	struct random random;

	struct job_table table;
	struct list gone;      /* jobs that have left, by job.place */
	struct map attempts;   /* RUNNING jobs by token */
	struct heap waiting;   /* RETRYING and SCHEDULED jobs by job.due */
	struct heap deadlines; /* struct job_extra by deadline_due */
	struct map profiles, keys, uniques;
	struct job_profile *recent_profile;
	struct list kept, spent; /* the finished ring by job.place: not delivered, delivered */
	struct map lifetimes;
	struct lifetime *results, *failures; /* the two of the options */
	struct heap expiries;

	struct groups groups;
	struct map queues_by_name, clients;
	struct engine_queue **queues, *default_queue, *recent_queue;
	uint32_t queue_count, queue_size;
	struct client *recent_client;
	uint32_t indexed_clients;
	struct list turns[CLASS_COUNT]; /* of struct ready that may start something */

	struct limit default_limits[2]; /* by enum limit_kind */
	uint32_t bounded_gates; /* those with a max_pending of their own, and such defaults */
	struct heap gates;      /* all of them by gate.due */
	struct map keys_by_name, lanes;
	struct limit_key **limit_keys, *recent_key;
	uint32_t limit_key_count, limit_key_size;
	struct list waking[CLASS_COUNT]; /* open keys with parked lanes, by limit_key.places */
	bool wakeful;                    /* there may be some */

	uint32_t parents; /* running attempts that have children */
	uint64_t *endings; /* tokens of such that have ended, to be followed up; room for all of them */
	uint32_t ending_count, endings_size;

	struct worker **slots; /* by slot; NULL: never started */
	uint32_t slot_count;
	struct worker **workers; /* those there are, by slot */
	uint32_t worker_count;
	struct loads loads[CLASS_COUNT];
	struct trials trials;

	struct action *actions;
	size_t action_count, action_size;
	bool handed_out; /* the actions: engine_reap() clears them */

	struct job **changes; /* to be saved; those before change_next were handed out */
	uint32_t change_count, change_size, change_next;
	struct job *changing;             /* handed out last */
	bool unsealed;                    /* something was handed out since the last seal */
	uint64_t sealed, committed;       /* batches */
	struct withheld_action *withheld; /* a ring of withheld_size places, a power of two */
	uint32_t withheld_size, withheld_first, withheld_count;
	struct engine_counts counts;
};

/* The wall clock stands so: if it was set, what follows it moves. wall.c */
void wall_advance(struct engine *e, int64_t now, int64_t now_wall);
/* Room for so many more actions, withheld or not. */
int actions_reserve(struct engine *e, size_t more) GA_MUST_CHECK;
void actions_reserve_or_abort(struct engine *e, size_t more);
/* At once, or withheld until what happened to what is durable is committed. */
void action_push(struct engine *e, enum action_kind kind, uint32_t slot, uint64_t token,
		 struct job *job);
void actions_push(struct engine *e, enum action_kind kind, struct job *job);
void action_push_group(struct engine *e, struct group *group);
void action_now(struct engine *e, const struct action *a);
struct job *action_job(const struct action *a); /* NULL: it is about no job */

#include "limits_parts.h" /* needs all of the above */
