/*
 * store_rig.h — a store to test: opened on a directory of its own, or in memory; waited for with a limit.
 */
#pragma once
#include "store.h"
#include "tap_main.h"
#include <stdbool.h>

struct rig {
	struct store_options options;
	struct store *store; /* NULL: closed */
	char directory[128]; /* empty: in memory */
	char why[512];
	uint64_t number; /* of the last batch */
	/* What the last commit said. */
	uint64_t committed;
	int error;
	int died; /* between batches: it said so by itself */
	struct store_refusal refusals[64];
	size_t refusal_count;
};

/* A read that was answered. Its texts are the rig's until the next. */
struct answer {
	bool told;
	int error;
	struct store_job jobs[256];
	size_t job_count;
	struct store_attempt attempts[16];
	size_t attempt_count;
	struct store_group group; /* the first */
	uint64_t groups[64];      /* all their sequences */
	size_t group_count;
	uint64_t next;
	char *texts[2048];
	size_t text_count;
};

/* What store_load() told. */
struct loaded {
	struct store_job jobs[256];
	struct store_group groups[64];
	struct store_document documents[64];
	size_t job_count, group_count, document_count;
	uint64_t order[512]; /* sequences, as they came */
	size_t order_count;
	char *texts[4096];
	size_t text_count;
};

void rig_init(struct rig *rig, bool in_memory); /* makes the directory */
void rig_open(struct rig *rig);                 /* fails the test if it can't */
int rig_try_open(struct rig *rig);
void rig_close(struct rig *rig);
void rig_done(struct rig *rig); /* closes, removes the directory */
void rig_remove_files(const char *directory);
char *rig_path(const struct rig *rig, const char *name); /* in a static buffer */

/* Batches. */
struct store_batch *rig_batch(struct rig *rig);
void rig_hand_over(struct rig *rig, struct store_batch *batch, enum store_sync sync);
void rig_wait(struct rig *rig);                              /* for the last batch's commit */
void rig_commit(struct rig *rig, struct store_batch *batch); /* synced, waited for, without error */
void rig_turn(struct rig *rig, int timeout_ms); /* wait for the store's descriptor, dispatch */

/* Rows. */
struct uuid rig_id(uint64_t sequence);
struct store_job rig_job(uint64_t sequence); /* a ready one with args */
struct store_job rig_finished(uint64_t sequence, enum job_state state);
void rig_save(struct rig *rig, const struct store_job *job, bool first);
int64_t rig_now(void); /* wall */

/* Reads, waited for. */
void answer_done(struct answer *answer);
void rig_read_sequence(struct rig *rig, uint64_t sequence, struct answer *ret_answer);
void rig_read_id(struct rig *rig, const struct uuid *id, struct answer *ret_answer);
void rig_read_group(struct rig *rig, const struct uuid *id, struct answer *ret_answer);
void rig_read_attempts(struct rig *rig, uint64_t sequence, struct answer *ret_answer);
void rig_list(struct rig *rig, const struct store_filter *filter, struct answer *ret_answer);
void rig_list_groups(struct rig *rig, const struct store_filter *filter, struct answer *ret_answer);
int rig_backup(struct rig *rig, const char *path);
/* Poll facts until so many finished jobs are kept in all; false after 5 s. */
bool rig_finished_become(struct rig *rig, uint64_t count);
uint64_t rig_finished_count(struct rig *rig);

void rig_load(struct rig *rig, struct loaded *ret_loaded); /* fails the test if it can't */
int rig_try_load(struct rig *rig, struct loaded *ret_loaded);
void loaded_done(struct loaded *loaded);

/* A test of the suite, over each implementation: its state is a rig with an open store. */
int rig_setup_memory(void **state);
int rig_setup_sqlite(void **state);
int rig_teardown(void **state);
#define BOTH(test)                                                                                 \
	{ #test " (memory)", test, rig_setup_memory, rig_teardown, NULL },                         \
	{                                                                                          \
#test " (sqlite)", test, rig_setup_sqlite, rig_teardown, NULL                      \
	}

#define assert_span(span, text)                                                                    \
	do {                                                                                       \
		assert_int_equal((span).size, strlen(text));                                       \
		assert_memory_equal((span).data, text, (span).size);                               \
	} while (0)
