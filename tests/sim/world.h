/*
 * world.h — a whole daemon in one thread and in virtual time: the engine and its broker, the store (disk.h), the
 * supervisor, workers and clients, and what is under way between them; and the model that judges the engine (model.h).
 *
 * Whatever happens is drawn from the seed. Each step draws from a stream of its own, so that a run may leave steps out
 * and still do the same in the others.
 */
#pragma once
#include "disk.h"
#include "mail.h"
#include "model_groups.h"

/* ---- workers, as they are ---- */
enum stage { STAGE_WAITS, STAGE_RUNS, STAGE_DONE /* until its result is acknowledged */ };
struct errand {
	struct letter job;
	enum stage stage;
	bool asked; /* to stop */
	struct attempt_result result;
};
struct hand {
	bool alive, connected, draining;
	uint64_t incarnation;
	uint32_t capacity[CLASS_COUNT], stuck[CLASS_COUNT]; /* stuck: abandoned, and going on */
	struct errand *errands;
	size_t count, size;
	struct mail inbox, outbox;
};

/* What is certain of a job, whatever crashes. */
struct history {
	struct uuid id;
	bool accepted, finished; /* its client was told so */
	bool is_group;
	bool weak;        /* not promised to survive a loss of power */
	struct face face; /* as told then */
	size_t result_size;
	unsigned life, starts; /* of that life */
};
enum ack_kind { ACK_SUBMITTED, ACK_CANCELLED, ACK_RETRIED };
struct ack { /* an answer that waits for a commit */
	enum ack_kind kind;
	bool is_group;
	struct uuid id;
	uint64_t sequence, until;
	unsigned lives;
};

struct past { /* a death that the broker before hasn't heard of */
	struct letter letter;
	bool told; /* to the next one */
	unsigned set;
};

struct world {
	struct model m;
	struct disk disk;
	struct random random; /* of this step */
	uint64_t seed, step;
	uint32_t epoch;
	/* the kind of run that the seed has drawn */
	uint32_t workers, capacity, max_jobs;
	int queues, priorities;
	unsigned durable, crashes, full; /* percent */
	bool keys, limits, groups, walls,
		unsteady; /* unsteady: what worker and broker say overtakes itself */

	int64_t wall;
	uint64_t next_incarnation;
	struct hand hands[MODEL_WORKERS + 1]; /* the last one is the sacrificial worker */
	bool wanted;                          /* that one: the supervisor was asked to start it */
	struct past *deaths;                  /* that no broker has heard of */
	size_t death_count, death_size;
	struct mail supervisor;
	struct history *histories; /* by sequence */
	size_t history_count;
	struct ack *acks;
	size_t ack_count, ack_size;
	bool calm;  /* nothing goes wrong any more */
	bool tells; /* each step, on stdout */
	struct world_counts {
		uint64_t jobs, commits, crashes, outages, deaths, restored, starts;
	} counts;
};
extern const char world_args[32];
extern const char *world_gates[2][MODEL_GATES]; /* names of queues and limit keys */
uint64_t world_below(struct world *w, uint64_t limit);
bool world_chance(struct world *w, unsigned percent);
void world_tell(const struct world *w, const char *format, ...) GA_PRINTF(2, 3);
struct history *world_history(struct world *w, uint64_t sequence, const struct uuid *id);

void world_open(struct world *w, uint64_t seed);
void world_step(struct world *w, uint64_t step); /* one of them, whatever it is */
void world_settle(struct world *w); /* nothing goes wrong from here on: everything must come to its end */
void world_close(struct world *w);

/* ---- the broker ---- */
void broker_turn(struct world *w);
void broker_save(struct world *w);
void broker_commit(struct world *w, uint64_t batch);
void broker_hear_supervisor(struct world *w);
void broker_hear_worker(struct world *w, const struct letter *l);
/* It ends at once, and a new one recovers. `outage`: so does everything else. */
void broker_crash(struct world *w, bool outage);
void broker_restore(struct world *w, const struct row *row);
void broker_answer(struct world *w, enum ack_kind kind, const struct model_job *job);

void broker_answer_group(struct world *w, const struct model_group *g);
bool broker_feed(struct world *w); /* maps get the members that they may have: whether there were any */

/* ---- workers and who starts them ---- */
struct hand *hand_at(struct world *w, uint32_t slot);
uint32_t hand_slot(const struct world *w, const struct hand *h);
struct hand *hand_any(struct world *w, bool alive); /* NULL: there is none that lives, or may be started */
void hand_start(struct world *w, struct hand *h);
void hand_connect(struct world *w, struct hand *h);
void hand_hear(struct world *w, struct hand *h);
void hand_work(struct world *w, struct hand *h);
void hand_die(struct world *w, struct hand *h, bool told);
const struct errand *hand_errand(const struct hand *h, uint64_t token);
