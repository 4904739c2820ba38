/*
 * scenario.h — a made-up life of a store: batch after batch of changes, each given by the seed and by all that came before
 * it, so that whoever replays the batches knows what the store must hold.
 *
 * Batches are numbered from 1. After a crash the store holds the batches up to some number; the next process (generation)
 * goes on from there with batches of its own.
 */
#pragma once
#include "random.h"
#include "store.h"

struct scenario_job {
	uint64_t sequence, group;
	uint32_t generation, batch; /* that changed it last: its texts tell them */
	uint32_t member;
	enum job_state state; /* 0: it never came to be, or was removed */
	enum job_durability durability;
	uint16_t attempts, failures;
	uint8_t crashes;
	uint64_t token;
	uint64_t key; /* 0: none */
	bool is_group, refused, removed;
	uint64_t finished_order; /* 0: unfinished */
};

enum scenario_kind { CHANGE_FIRST, CHANGE_SAVE, CHANGE_REMOVE };
struct scenario_change {
	enum scenario_kind kind;
	size_t job;   /* index */
	bool attempt; /* one has ended with it */
	bool refused; /* the store will: its key is taken */
};

#define SCENARIO_CHANGES 16
struct scenario {
	uint64_t seed;
	struct scenario_job *jobs;
	size_t count, room;
	uint32_t batches; /* applied */
	uint64_t finished;
	/* of the last batch */
	struct scenario_change changes[SCENARIO_CHANGES];
	size_t change_count;
	enum store_sync sync;
};

void scenario_init(struct scenario *s, uint64_t seed);
void scenario_done(struct scenario *s);
/* The next batch: its changes, and the jobs as they are after it. */
void scenario_step(struct scenario *s, uint32_t generation);

/* Room for the texts of one job. */
struct scenario_texts {
	char options[128], key[32], tags[64], message[96], meta[96];
	char *args, *body;
};
void scenario_texts_done(struct scenario_texts *t);
/* What is saved of a job, and has to come back. */
void scenario_job_fill(const struct scenario *s, const struct scenario_job *job,
		       struct store_job *ret_job, struct scenario_texts *ret_texts);
struct scenario_members {
	uint64_t sequences[SCENARIO_CHANGES];
	char spec[64];
};
void scenario_group_fill(const struct scenario *s, const struct scenario_job *group,
			 struct store_group *ret_group, struct scenario_members *ret_members);
void scenario_id(uint64_t seed, uint64_t sequence, struct uuid *ret_id);

/* The document that says which batch was the last. */
#define SCENARIO_KIND "battery"
#define SCENARIO_NAME "batch"
