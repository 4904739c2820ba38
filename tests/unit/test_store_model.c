/*
 * Random histories, lived by both implementations at once: they refuse the same, keep the same and count the same. The one
 * in SQLite is opened again now and then, which checks all of its sums and counts.
 */
#include "clock.h"
#include "random.h"
#include "store_rig.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SEEDS = 8, TURNS = 60, CHANGES = 12 };

static struct rig memory, sqlite;
static struct answer a, b;
static struct random dice;
static uint64_t last;

static uint64_t roll(uint64_t limit)
{
	return random_below(&dice, limit);
}

static struct store_job some_job(uint64_t sequence)
{
	static const enum job_state states[] = { JOB_READY,   JOB_RUNNING,   JOB_SUCCEEDED,
						 JOB_FAILED,  JOB_CANCELLED, JOB_EXPIRED,
						 JOB_RETRYING };
	static char text[20000];
	static char keys[40][8];
	enum job_state state = states[roll(7)];
	struct store_job job = job_state_is_final(state) ? rig_finished(sequence, state)
							 : rig_job(sequence);
	size_t key = roll(40);

	memset(text, 'x', sizeof(text));
	snprintf(keys[key], sizeof(keys[key]), "key-%d", (int)key);
	job.state = state;
	job.accepted_wall = rig_now();
	job.priority = (int8_t)roll(200);
	if (roll(3) == 0)
		job.key = span_of(keys[key]);
	job.payload[0] = (uint8_t)roll(2);
	job.queue = roll(2) ? SPAN("fast") : SPAN("slow");
	job.args = (struct span){ text, roll(8) ? roll(300) : roll(sizeof(text)) };
	job.body = (struct span){ text, roll(8) ? roll(300) : roll(sizeof(text)) };
	job.tags = roll(2) ? SPAN("\na\nb\n") : SPAN("");
	job.attempts = (uint16_t)roll(9);
	return job;
}

static uint64_t some_sequence(void)
{
	return 1 + roll(last + 2); /* or one that isn't there */
}

/* The same change for both. */
static void change(struct store_batch *first, struct store_batch *second)
{
	struct store_attempt attempt = { .sequence = some_sequence(),
					 .attempt = (uint16_t)(1 + roll(4)),
					 .outcome = OUTCOME_FAILED,
					 .slot = (uint32_t)roll(9) };
	struct store_job job;
	uint64_t sequence;

	switch (roll(10)) {
	case 0:
		sequence = some_sequence();
		assert_int_equal(store_remove(first, sequence), 0);
		assert_int_equal(store_remove(second, sequence), 0);
		break;
	case 1:
	case 2:
		assert_int_equal(store_save_attempt(first, &attempt), 0);
		assert_int_equal(store_save_attempt(second, &attempt), 0);
		break;
	case 3:
	case 4:
	case 5:
		job = some_job(some_sequence());
		assert_int_equal(store_save_job(first, &job, false), 0);
		assert_int_equal(store_save_job(second, &job, false), 0);
		break;
	default:
		job = some_job(++last);
		assert_int_equal(store_save_job(first, &job, true), 0);
		assert_int_equal(store_save_job(second, &job, true), 0);
	}
}

static void turn(void)
{
	struct store_batch *first = rig_batch(&memory), *second = rig_batch(&sqlite);

	for (uint64_t i = roll(CHANGES); i > 0; i--)
		change(first, second);
	rig_commit(&memory, first);
	rig_commit(&sqlite, second);
	assert_int_equal(memory.refusal_count, sqlite.refusal_count);
	for (size_t i = 0; i < memory.refusal_count; i++) {
		assert_int_equal(memory.refusals[i].sequence, sqlite.refusals[i].sequence);
		assert_int_equal(memory.refusals[i].why, sqlite.refusals[i].why);
		assert_int_equal(memory.refusals[i].same_payload, sqlite.refusals[i].same_payload);
		assert_memory_equal(&memory.refusals[i].existing, &sqlite.refusals[i].existing,
				    sizeof(struct uuid));
	}
}

static void compare_job(uint64_t sequence)
{
	rig_read_sequence(&memory, sequence, &a);
	rig_read_sequence(&sqlite, sequence, &b);
	assert_int_equal(a.error, b.error);
	if (a.error == 0) {
		const struct store_job *x = a.jobs, *y = b.jobs;

		assert_true(x->state == y->state && x->priority == y->priority);
		assert_true(x->attempts == y->attempts && x->expires_wall == y->expires_wall);
		assert_true(span_equal(x->key, y->key) && span_equal(x->queue, y->queue));
		assert_true(span_equal(x->args, y->args) && span_equal(x->body, y->body));
		assert_true(span_equal(x->tags, y->tags) && span_equal(x->meta, y->meta));
	}
	answer_done(&a);
	answer_done(&b);
	rig_read_attempts(&memory, sequence, &a);
	rig_read_attempts(&sqlite, sequence, &b);
	assert_int_equal(a.attempt_count, b.attempt_count);
	for (size_t i = 0; i < a.attempt_count; i++)
		assert_int_equal(a.attempts[i].slot, b.attempts[i].slot);
	answer_done(&a);
	answer_done(&b);
}

/* Where a page ends is each one's own affair. */
static size_t list_all(struct rig *rig, struct store_filter filter, uint64_t sequences[])
{
	size_t count = 0;

	do {
		rig_list(rig, &filter, &a);
		for (size_t i = 0; i < a.job_count; i++)
			sequences[count++] = a.jobs[i].sequence;
		filter.below = a.next;
		answer_done(&a);
	} while (filter.below);
	return count;
}

static void compare_lists(void)
{
	static uint64_t first[TURNS * CHANGES], second[TURNS * CHANGES];
	struct store_filter filter = { .limit = 20, .states = roll(2) ? 1u << JOB_FAILED : 0 };
	size_t count;

	filter.queue = roll(2) ? SPAN("slow") : SPAN("");
	filter.tag = roll(2) ? SPAN("b") : SPAN("");
	count = list_all(&memory, filter, first);
	assert_int_equal(count, list_all(&sqlite, filter, second));
	assert_memory_equal(first, second, count * sizeof(first[0]));
}

static void compare_counts(void)
{
	struct store_facts x, y;

	store_facts(memory.store, &x);
	store_facts(sqlite.store, &y);
	assert_memory_equal(x.finished, y.finished, sizeof(x.finished));
	assert_int_equal(x.last_sequence, y.last_sequence);
}

static void live(uint64_t seed)
{
	random_seed(&dice, seed);
	last = 0;
	rig_init(&memory, true);
	rig_init(&sqlite, false);
	rig_open(&memory);
	rig_open(&sqlite);
	for (int i = 0; i < TURNS; i++) {
		turn();
		compare_counts();
		if (roll(20) == 0) {
			rig_close(&sqlite);
			rig_open(&sqlite);
		}
	}
	for (uint64_t sequence = 1; sequence <= last + 1; sequence++)
		compare_job(sequence);
	compare_lists();
	rig_done(&memory);
	rig_done(&sqlite);
}

static void both_live_the_same_history(void **state)
{
	(void)state;
	if (getenv("STORE_SEED"))
		live(strtoull(getenv("STORE_SEED"), NULL, 10));
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		print_message("# seed %d\n", (int)seed);
		live(seed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(both_live_the_same_history) };

	return TAP_RUN(tests);
}
