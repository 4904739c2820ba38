/*
 * engine_groups.h — asyncio's gather, wait, chain and map over jobs: what belongs together, in which order it runs, when
 * the whole has ended.
 *
 * A group's members are jobs and groups, in order. It and its members are made in one turn, hence saved in one batch;
 * nothing of it runs before engine_group_start(). What a member's end means for the group happens in the next
 * engine_run(), and so is saved with that end.
 *
 *	gather   all run; the first that doesn't succeed cancels the others, unless `return_exceptions`
 *	wait     all run; it has ended as soon as `until` holds or its timeout is over; the others go on, unless `cancel_rest`
 *	chain    each runs once the one before has succeeded; one that doesn't ends the chain: the rest never runs
 *	map      as gather, but members are made when they may run, `window` at a time: engine_group_hungry()
 *
 * But for a wait that leaves members behind, a group ends only after each of its members has.
 */
#pragma once
#include "engine.h"

#define GROUP_MEMBERS_MAX 10000u

enum group_kind { GROUP_GATHER = 1, GROUP_WAIT, GROUP_CHAIN, GROUP_MAP };
enum group_until { UNTIL_ALL, UNTIL_FIRST_EXCEPTION, UNTIL_COUNT };

struct group_options {
	enum group_kind kind;
	bool return_exceptions; /* gather, map: what doesn't succeed is a result like any other */
	enum group_until until; /* wait */
	bool cancel_rest;       /* wait: those that are left when it has ended */
	uint32_t until_count;   /* UNTIL_COUNT: so many have ended */
	uint32_t window;        /* map: unfinished members at a time; 0: all */
	bool by_completion;     /* the broker's: how results are told */
	int64_t timeout; /* from its start, ns; 0: none. wait: it ends then; others: its members are cancelled */
};

struct group {
	struct uuid id;
	uint64_t sequence;    /* from the same count as the jobs' */
	struct group *parent; /* it is a member of; NULL: none */
	uint32_t member;      /* its place there */
	struct group_options options;
	uint8_t durability; /* enum job_durability: its members', too */
	uint8_t state; /* BLOCKED: not started; RUNNING; a final one. group_move() alone writes it */
	bool cancelling : 1; /* its end was asked for */
	bool timed_out : 1;
	bool refused : 1; /* its first save, or a member's, didn't happen */
	bool untold : 1;  /* the engine's: its ACTION_GROUP_FINISHED wasn't handed out yet */
	bool gone : 1;    /* the engine's: it has left */
	bool swept : 1;   /* the engine's: its members were asked for their end */
	bool stored : 1;  /* its first save was handed out */
	bool sync : 1;    /* what changed must survive a loss of power before it is told */
	uint8_t ending;   /* what it ends as once all its members have ended; 0: it goes on */
	uint32_t count;   /* members */
	uint32_t made;    /* of them: all, but in a map */
	uint32_t settled; /* of those */
	uint32_t succeeded, failed, cancelled; /* of those; expired ones count as failed */
	uint32_t culprit; /* the first that did neither succeed nor get cancelled by the group; `count`: none */
	uint64_t *sequences; /* of members, jobs and groups; 0: not made yet */
	uint32_t *order;     /* the places of the settled ones, as they ended */
	uint8_t *outcomes;   /* final states; 0: not settled */
	struct job_error *error;
	struct bytes *spec;                           /* as submitted */
	void *baggage;                                /* the broker's */
	int64_t accepted_at, started_at, finished_at; /* engine time; 0: not yet */

	/* the engine's own */
	uint64_t first_batch; /* that its first save is in; 0: not handed out yet */
	struct heap_node due;
	struct list work, change, hungry;
	struct list place; /* of a top one, in order of acceptance */
	struct list ended; /* of a top one, in order of their ends */
	uint32_t users;    /* jobs and groups that name it, and the table */
};

struct group_submission {
	struct group_options options;
	enum job_durability durability;
	uint32_t count;       /* members it will have */
	struct bytes *spec;   /* opaque; a reference is taken, and it counts as arguments do */
	struct group *parent; /* it becomes this one's member number `member`; NULL: none */
	uint32_t member;
};
/* Whether so many jobs with so many bytes of arguments may come: 0, -ENOBUFS, -EDQUOT as engine_submit(). Then submit
 * them `exempt`. */
int engine_room(const struct engine *e, uint32_t jobs, uint64_t bytes) GA_MUST_CHECK;
/* Make a group. Its members follow in the same turn, each once: jobs by engine_submit() with `group`, `member` and
 * `blocked`, groups by this. -EINVAL: options or count make no sense; -ENOMEM. */
int engine_group_new(struct engine *e, const struct group_submission *s,
		     struct group **ret_group) GA_MUST_CHECK;
/* All members are there (a map's come later): let it run. For the top one. */
void engine_group_start(struct engine *e, struct group *group);
/* Or something went wrong in between: it and its members have never been. */
void engine_group_discard(struct engine *e, struct group *group);

/* A map that may have another member: its number `made`, to be submitted with `group`, `member`, not `blocked`, or failed
 * by engine_group_skip(). NULL: none. */
struct group *engine_group_hungry(struct engine *e);
/* That member can't be made: it counts as failed. */
void engine_group_skip(struct engine *e, struct group *group, struct span code, struct span message);

/* As engine_find(), of groups. */
int engine_group_find(struct engine *e, const struct uuid *id, struct group **ret_group) GA_MUST_CHECK;
struct group *engine_group_at(const struct engine *e, uint64_t sequence); /* NULL: none here */
struct job *engine_job_at(struct engine *e, uint64_t sequence);           /* likewise */
/* The top groups, newest first: start with NULL. */
struct group *engine_group_older(struct engine *e, struct group *group);
/* Ask for the end of all that is in it. -EALREADY: all of it has ended. */
int engine_group_cancel(struct engine *e, struct group *group);
/* Whether a member has ended and that was told: its outcome; 0: not yet. */
enum job_state engine_group_outcome(struct engine *e, const struct group *group, uint32_t member);
int64_t engine_group_due(const struct engine *e, const struct group *group); /* of its timeout; 0: none */

/* ---- what is saved: engine_durable.h has engine_group_change() ---- */
/* Its first save was refused: it ends as failed (`no_space`), and so do its members. As engine_refused(). */
void engine_group_refused(struct engine *e, struct group *group);

/* A group as it was stored. `settled` is what group_settled_text() wrote. */
struct restored_group {
	struct uuid id;
	uint64_t sequence;
	enum job_state state;
	bool cancelling, timed_out;
	int64_t accepted_at, started_at, finished_at; /* engine time, below 0 if before the boot */
	int64_t due;                                  /* of its timeout: engine time; 0: none */
	struct span members;                          /* sequences, 8 bytes little-endian each */
	struct span settled;
	struct span error_code, error_message;
};
/* Put an unfinished group back, in order of sequence with the jobs: its members are restored with `group` and `member`.
 * -EEXIST, -EINVAL (what was stored contradicts itself), -ENOMEM. */
int engine_group_restore(struct engine *e, const struct group_submission *s,
			 const struct restored_group *r, struct group **ret_group) GA_MUST_CHECK;
/* The same for looking at it alone, in any state: no engine has it. */
int group_unpack(const struct group_submission *s, const struct restored_group *r,
		 struct group **ret_group) GA_MUST_CHECK;
void group_unpacked_free(struct group *group);
/* All are back: members that are neither here nor settled were lost. */
void engine_groups_restored(struct engine *e);
/* The members that have ended, as text: "0s2f1c" in the order of their ends. Appended to `out`. -ENOMEM. */
struct buf;
int group_settled_text(const struct group *group, struct buf *out) GA_MUST_CHECK;
