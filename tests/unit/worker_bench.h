/*
 * worker_bench.h — a runner with all modules, a broker that is a list, and a loop that gives up after a while.
 */
#pragma once
#include "charge.h"
#include "clock.h"
#include "loop.h"
#include "runner.h"
#include "runtime.h"
#include <stdlib.h>
#include <string.h>

#define HEARD_MAX 256
#define GIVE_UP_NS (20 * NSEC_PER_SEC)

struct heard { /* a record that the runner sent */
	enum record_kind kind;
	uint64_t token;
	enum job_outcome outcome;
	bool retryable, busy;
	uint32_t retry_after_ms, elapsed_us;
	char code[64], message[256];
	char *meta, *body; /* NUL-terminated; NULL: empty */
	size_t body_size;
	uint32_t fraction; /* PROGRESS: its text is the message, its log the body */
	uint64_t log_from;
	int64_t at;
};

struct bench {
	struct loop *loop;
	struct registry *registry;
	struct runner *runner;
	struct heard heard[HEARD_MAX];
	size_t count, wanted;
	struct loop_timer give_up;
	bool gave_up;
	struct shared_page page;
	size_t record_bytes; /* of the last record, as it would travel */
};

/* Run the loop until `count` records have been heard in all. False: it took too long. */
bool bench_wait(struct bench *b, size_t count);
void bench_run_for(struct bench *b, int64_t ns);
void bench_send_inputs(struct bench *b, uint64_t token, const char *type, const char *args,
		       const char *inputs, uint32_t timeout_ms);
void bench_send(struct bench *b, uint64_t token, const char *type, const char *args,
		uint32_t timeout_ms);
void bench_acknowledge(struct bench *b, uint64_t token);
void bench_acknowledge_all(struct bench *b);
void bench_forget_heard(struct bench *b);
void bench_charge_to(struct shared_page *page);
/* NULL: no bench, with the reason on standard error. */
struct bench *bench_new(const struct registry_options *modules, int64_t grace);
void bench_free(struct bench *b);
