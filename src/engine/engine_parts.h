/*
 * engine_parts.h — what the engine's own files share. Nobody else includes it, but for its tests.
 *
 * Memory: whatever an accepted job may need on its way to a final state, short of its result, is allocated when it is
 * submitted. So events that can't be refused (a worker's death, the time) don't fail for want of memory. The one
 * exception is the list of actions: where it can't grow in such an event the process aborts, as documented there.
 */
#pragma once
#include "engine.h"
#include "groups_parts.h"
#include "heap.h"
#include "job_table.h"
#include "list.h"
#include "map.h"
#include "random.h"
#include "ready.h"

/* A queue takes about 1 KiB, and its name comes from whoever submits: hence a limit. */
enum { LOAD_COUNT = 64, SLOT_LIMIT = 4096, QUEUE_LIMIT = 65536 };

/* ---- queues and clients: queues.c ---- */
struct client {
	uint64_t name;
	struct list jobs; /* unfinished, by job.mates */
};
int queue_acquire(struct engine *e, struct span name, struct engine_queue **ret_queue) GA_MUST_CHECK;
void queue_release(struct engine *e, struct engine_queue *q);
void queues_free(struct engine *e);
int client_acquire(struct engine *e, uint64_t name, struct client **ret_client) GA_MUST_CHECK;
void client_adopt(struct client *c, struct job *job);
void clients_free(struct engine *e);
bool queue_matches(const void *item, const void *key);
bool client_matches(const void *item, const void *key);

/* ---- workers: workers.c ---- */
struct worker {
	uint32_t slot;
	uint64_t incarnation; /* 0: none lives */
	bool joined, draining;
	uint32_t capacity[CLASS_COUNT];
	uint32_t held[CLASS_COUNT];     /* attempts it has, and withheld ones */
	uint32_t withheld[CLASS_COUNT]; /* by abandoned attempts */
	uint64_t dispatched, finished;
	struct list jobs; /* RUNNING ones, by job.place, in order of dispatch */
	struct seat {
		struct list node; /* in engine.loads[class].workers[load] */
		int8_t load;      /* -1: takes no job of this class now */
	} seats[CLASS_COUNT];
};
/* Workers with free capacity for a class, by load: exact while small, then in quarter octaves, so that 64 lists and a
 * bitmap do for any capacity. Within a list they take turns. */
struct loads {
	uint64_t occupied;
	struct list workers[LOAD_COUNT];
};
void workers_init(struct engine *e);
void workers_free(struct engine *e);
struct worker *worker_at(const struct engine *e, uint32_t slot);       /* NULL: never started */
struct worker *worker_for(struct engine *e, enum job_class job_class); /* NULL: all are full */
void worker_take(struct engine *e, struct worker *w, struct job *job);
void worker_give(struct engine *e, struct job *job);
void worker_withhold(struct worker *w, enum job_class job_class); /* before worker_give() of its job */
bool worker_has_room(const struct worker *w, enum job_class job_class);
void worker_shut(struct engine *e, struct worker *w); /* it died: nothing more goes to it */
void worker_clear(struct worker *w); /* it holds no job any longer: the slot is free */
int worker_load(uint32_t held);

/* ---- attempts and their results: attempts.c ---- */
bool attempt_matches(const void *item, const void *key);
struct job *attempt_find(const struct engine *e, uint32_t slot, uint64_t token);
bool attempts_dispatch_one(struct engine *e,
			   enum job_class job_class); /* false: nothing to do, or no memory */
/* A ready job goes to a worker that has room. false: no memory. */
bool attempt_start(struct engine *e, struct worker *w, struct job *job);
/* A RUNNING job's worker is gone, or doesn't know of it: ready again, or ended as it was asked to. */
void attempt_lost(struct engine *e, struct job *job);
/* An error, or NULL for want of memory. What is too long is cut. */
struct job_error *error_new(int signal, struct span code, struct span message);
void job_set_error(struct job *job, struct job_error *error); /* takes it */

/* ---- jobs that may take their worker along: suspects.c; who they are: crashes.c ---- */
struct suspects { /* jobs that were on a worker when it died for no known reason: they run together */
	struct list node;
	struct list jobs[CLASS_COUNT]; /* READY ones, by job.place */
};
/* What waits for the sacrificial worker, and what it does. It runs one set at a time, or one job alone. */
struct trials {
	struct list alone; /* READY jobs that run alone, by job.place */
	struct list sets; /* of struct suspects, in order of their turns, but for the current one */
	struct suspects *current; /* whose jobs it has, or gets; NULL: none's */
	struct suspects *target; /* to which a suspect that is ready again belongs: the current set, but in a death */
	unsigned set_count, alone_count;
	bool alone_next;    /* whose turn it is next */
	bool asked;         /* for the worker, since it died last */
	bool dismissed;     /* the worker that lives */
	bool inherited;     /* it wasn't asked for: who knows what has run in there */
	struct list deaths; /* of workers that died before this engine was */
};
void trials_init(struct engine *e);
void trials_done(struct engine *e);
void trials_run(struct engine *e); /* whoever may start, starts; the worker is asked for, or dismissed */
void trials_started(struct engine *e);
void trials_ended(struct engine *e);           /* the worker is gone, and its jobs have moved on */
bool trials_have_room(const struct engine *e); /* for those of one more worker's death */
uint64_t trials_count(const struct engine *e); /* suspects that are in the lists; for engine_check() */
struct suspects *suspects_new(struct engine *e); /* NULL: no memory */
/* Its turn comes first or last. A set without jobs is freed; NULL is a no-op. */
void suspects_enter(struct engine *e, struct suspects *set, bool first);
void suspect_insert(struct engine *e, struct job *job); /* it is READY */
void suspect_remove(struct engine *e, struct job *job);

/* A stored attempt's worker is dead: what becomes of the job, which is in no state yet. */
void attempt_was_lost(struct engine *e, struct job *job, uint64_t incarnation);
void deaths_done(struct engine *e);

/* ---- what jobs have in common: profiles.c ---- */
/* The submission is complete. */
int profile_acquire(struct engine *e, const struct submission *s,
		    struct job_profile **ret_profile) GA_MUST_CHECK;
void profile_release(struct engine *e, struct job_profile *p);
bool profile_matches(const void *item, const void *key);

/* ---- what few jobs have: extra.c ---- */
/* The job that has one of the submission's keys: 1, or -ENOTUNIQ; 0: none. */
int key_find(struct engine *e, const struct submission *s, struct job **ret_job) GA_MUST_CHECK;
int extra_new(struct engine *e, struct job *job, const struct submission *s) GA_MUST_CHECK;
void extra_settle(struct engine *e, struct job *job);              /* it is final */
int extra_revive(struct engine *e, struct job *job) GA_MUST_CHECK; /* and is to be ready again; -EEXIST */
void extra_leave(struct engine *e, struct job *job);               /* it is no longer to be found */
void extra_free(struct engine *e, struct job *job);
/* An attempt has ended so, with the job's error. Without memory the history has a gap. */
void note_add(struct engine *e, struct job *job, enum job_outcome outcome);
void notes_trim(struct job *job); /* those that are saved */
int extra_ensure(struct job *job) GA_MUST_CHECK;
bool key_matches(const void *item, const void *key);
bool unique_matches(const void *item, const void *key);

/* ---- what attempts tell: told.c ---- */
struct bytes *told_log(const struct job *job); /* of the current attempt, a copy; NULL: none, or no memory */
void told_free(struct job_told *t);
uint64_t told_weight(const struct job *job);

/* ---- what is saved: durable.c ---- */
struct withheld_action {
	struct action action;
	uint64_t until; /* this batch is committed */
};
bool job_is_durable(const struct job *job);
/* A durable job is to be saved as it is at the end of the turn. Before what tells of the change is pushed. */
void job_changed(struct engine *e, struct job *job, bool sync);
int changes_reserve(struct engine *e) GA_MUST_CHECK; /* room for one more; else job_changed() aborts */
void action_withhold(struct engine *e, const struct action *a, uint64_t until);

/* ---- finished jobs: finished.c ---- */
/* Finished jobs that live equally long, so that they expire in the order in which they finished. */
struct lifetime {
	int64_t ttl;
	uint64_t users; /* profiles that have it; the engine's own two lifetimes have one besides */
	struct list jobs;
	struct heap_node due; /* in engine.expiries, always: at the first job's end, or at TIME_NEVER */
};
int finished_init(struct engine *e) GA_MUST_CHECK;
void finished_done(struct engine *e);
int lifetime_acquire(struct engine *e, int64_t ttl) GA_MUST_CHECK;
void lifetime_release(struct engine *e, int64_t ttl);
struct lifetime *lifetime_of(const struct engine *e, const struct job *job);
bool lifetime_matches(const void *item, const void *key);
void finished_enter(struct engine *e, struct job *job);
void finished_leave(struct engine *e, struct job *job);
void finished_expire(struct engine *e);          /* what is due */
void finished_evict(struct engine *e);           /* down to max_finished_bytes */
uint64_t finished_weight(const struct job *job); /* bytes that it takes */
uint64_t bytes_weight(const struct bytes *b);    /* NULL: 0 */

/* ---- states: moves.c ---- */
void job_move(struct engine *e, struct job *job, enum job_state to);
/* To where a job begins: BLOCKED, SCHEDULED until `due` (0: none), or READY. */
void job_start(struct engine *e, struct job *job, int64_t due, bool blocked);
/* Move to a final state and announce it; room for the action is reserved. */
void job_end(struct engine *e, struct job *job, enum job_state to);
void job_fail(struct engine *e, struct job *job, struct span code, struct span message);
void job_fail_unknown(struct engine *e, struct job *job); /* one that may run at most once, and was lost */
/* An unfinished job's end is asked for: CANCELLED or EXPIRED. Room for two actions is reserved. */
void job_stop(struct engine *e, struct job *job, enum job_state to);
void job_expire(struct engine *e, struct job *job);
enum job_state job_stopped_state(const struct job *job); /* what it ends as, once its end was asked for */
/* A failed attempt: again after the backoff. Room for the action is reserved. */
void job_retry_later(struct engine *e, struct job *job, uint32_t retry_after_ms);
/* Out of all lists, not to be found any more, freed by engine_reap(). */
void job_forget(struct engine *e, struct job *job);
void job_free(struct engine *e, struct job *job); /* one that is in no list */
bool job_is_final(const struct job *job);

/* ---- submissions: engine.c ---- */
/* Fill in the defaults. -EINVAL. */
int submission_complete(const struct engine *e, struct submission *s) GA_MUST_CHECK;
/* A job in no state yet, with this sequence; its submission is complete. */
int job_new(struct engine *e, const struct submission *s, uint64_t sequence,
	    struct job **ret_job) GA_MUST_CHECK;
uint64_t engine_unfinished(const struct engine *e); /* jobs */
void id_make(struct engine *e, uint64_t sequence, enum job_durability durability, struct uuid *ret_id);
/* The sequence in an id, or -ENOENT, -ESTALE as of engine_find(). */
int id_read(const struct engine *e, const struct uuid *id, uint64_t *ret_sequence) GA_MUST_CHECK;
enum job_durability id_durability(const struct uuid *id);

/* ---- waiting for a retry: retry.c ---- */
/* Nanoseconds to wait after the failure number `failures` (from 1); `unit`, in 0..1, is the jitter's dice. */
int64_t retry_delay(const struct retry_policy *p, unsigned failures, uint32_t retry_after_ms,
		    double unit);

struct engine {
	struct engine_options options;
	int64_t now, now_wall;
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
	struct list turns[CLASS_COUNT]; /* of struct ready that may start something */

	struct limit default_limits[2]; /* by enum limit_kind */
	uint32_t bounded_gates; /* those with a max_pending of their own, and such defaults */
	struct heap gates;      /* all of them by gate.due */
	struct map keys_by_name, lanes;
	struct limit_key **limit_keys, *recent_key;
	uint32_t limit_key_count, limit_key_size;
	struct list waking[CLASS_COUNT]; /* open keys with parked lanes, by limit_key.places */
	bool wakeful;                    /* there may be some */

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

/* Room for so many more actions, withheld or not. */
int actions_reserve(struct engine *e, size_t more) GA_MUST_CHECK;
void actions_reserve_or_abort(struct engine *e, size_t more);
/* At once, or withheld until what happened to the durable job is committed. */
void actions_push(struct engine *e, enum action_kind kind, struct job *job);
void action_push_group(struct engine *e, struct group *group);
void action_now(struct engine *e, const struct action *a);
struct job *action_job(const struct action *a); /* NULL: it is about no job */

#include "limits_parts.h" /* needs all of the above */
