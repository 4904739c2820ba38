/*
 * broker.h — the broker's parts and what they share. One process, one loop, one thread.
 *
 * Doors parse and validate; the engine decides; dispatch carries its decisions out at the end of each loop turn. The parts
 * find each other through struct broker, which broker_main() owns.
 */
#pragma once
#include "conf.h"
#include "connection.h"
#include "engine.h"
#include "loop.h"
#include "map.h"
#include "role.h"
#include "type_table.h"
#include "worker_link.h"

struct door;
struct group_desk;
struct http_front;
struct keep;
struct known_fields;
struct recovery;
struct store;

/* Results of one worker that are to be acknowledged. */
struct acks {
	uint32_t slot;
	uint64_t incarnation;
	bool rides; /* a job goes to it in this turn */
	struct buf tokens;
};

/* See worker_pids.h. */
struct worker_pid {
	uint64_t incarnation;
	int32_t pid;
};

struct broker {
	const struct role *role;
	struct conf *conf;
	struct loop *loop;
	struct type_table *types;
	struct engine *engine;
	struct store *store; /* NULL: nothing is durable */
	struct keep *keep;   /* NULL likewise */
	struct known_fields *known_fields;
	struct buf options; /* of the submission that is being prepared */
	struct schedules *schedules;
	struct webhooks *webhooks;
	struct recovery *recovery; /* until the supervisor has named all workers */
	struct router *router;
	struct door *door;
	struct http_front *http;
	struct connections connections;
	unsigned max_connections; /* of all doors: the option, or what the descriptors suffice for */
	struct acks *acks;        /* the sacrificial worker's, then by slot */
	uint32_t ack_slots;
	struct worker_pid *pids; /* in the same order */
	uint32_t pid_slots;
	struct loop_timer ack_timer;
	uint32_t sacrifice; /* what is to be said to the supervisor of that worker: enum control_kind; 0: nothing */
	struct list lost; /* workers that have died and may still be heard */
	struct buf gone; /* names of clients that have left, to be told to the engine in the next turn */
	struct loop_call gone_call, go_on;
	struct group_desk *groups;
	struct map waits; /* struct job_wait by job id: who asked to be told of a job's end */
	struct loop_hook turn;
	struct loop_timer wake, pulse, farewell;
	struct io_watch control;
	uint32_t epoch;
	int64_t started_at; /* engine time */
	int64_t now;        /* engine time, as of this turn */
	int64_t pulse_due;
	int64_t wake_due;    /* what `wake` is set for, in engine time; 0: nothing */
	int64_t wall_offset; /* wall clock - engine time, as of this turn */
	bool turn_begun;     /* the engine knows this turn's time */
	bool draining;       /* no more is begun */
	bool drained;        /* and nothing runs */
	bool failed; /* the store did: what was decided is told to nobody, and the broker ends */
	unsigned joined; /* workers that have registered */
};

/* Tell the engine the time, once a turn: before every event that it is given. Returns the engine, for brevity. */
struct engine *broker_engine(struct broker *b);
/* A connection was closed: its jobs end with it. May be called while the engine's actions are carried out. */
void broker_client_gone(struct broker *b, uint64_t client);
/* Read what the supervisor has said up to now: a worker it has just started may be quicker than its message. */
void broker_hear_supervisor(struct broker *b);
