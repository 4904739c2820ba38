#include "progress.h"
#include "tap_main.h"
#include "worker_bench.h"

static struct bench *bench(void)
{
	char *plugins[] = { (char *)(uintptr_t)TEST_WORKERS_DIR "/trouble.so", NULL };
	struct registry_options modules = { .directory = WORKERS_DIR, .plugins = plugins };
	struct bench *b = bench_new(&modules, 0);

	assert_non_null(b);
	return b;
}

static void bench_end(struct bench *b)
{
	struct runner_counts counts;

	bench_acknowledge_all(b);
	runner_counts(b->runner, &counts);
	assert_int_equal(counts.running + counts.kept, 0);
	assert_true(counts.unacknowledged == 0);
	bench_free(b);
}

static unsigned count_lines(const char *log)
{
	unsigned count = 0;

	for (; log && (log = strchr(log, '\n')); log++)
		count++;
	return count;
}

/* Until the result is there. */
static const struct heard *wait_for_result(struct bench *b)
{
	for (size_t n = 1; n <= HEARD_MAX; n++) {
		if (!bench_wait(b, n))
			break;
		if (b->heard[n - 1].kind == RECORD_RESULT)
			return &b->heard[n - 1];
	}
	fail_msg("no result");
	return NULL;
}

static void what_a_short_job_tells_comes_at_once_before_its_result(void **state)
{
	struct bench *b = bench();
	const struct heard *h = b->heard;

	(void)state;
	bench_send(b, 7, "tell", "{\"steps\":3,\"line\":\"a \\u001b[31m b\"}", 0);
	assert_int_equal(b->count, 2);
	assert_int_equal(h[0].kind, RECORD_PROGRESS);
	assert_int_equal(h[0].token, 7);
	assert_int_equal(h[0].fraction, 1000000);
	assert_string_equal(h[0].message, "there");
	assert_int_equal(h[0].log_from, 0);
	assert_int_equal(count_lines(h[0].body), 3);
	assert_non_null(strstr(h[0].body, "Z a \\x1b[31m b\n")); /* with the time before it */
	assert_int_equal(h[1].kind, RECORD_RESULT);
	assert_int_equal(h[1].outcome, OUTCOME_SUCCEEDED);
	bench_end(b);
}

/* The records of a job that tells much are rare, and their log has neither holes nor overlaps. */
static void check_rare(const char *type)
{
	struct bench *b = bench();
	unsigned lines = 0;
	uint64_t end = 0;

	bench_send(b, 1, type, "{\"steps\":60,\"pause\":\"10ms\"}", 0);
	wait_for_result(b);
	assert_in_range(b->count, 3, 60 / 3);
	for (size_t i = 0; i + 1 < b->count; i++) {
		const struct heard *h = &b->heard[i];

		assert_int_equal(h->kind, RECORD_PROGRESS);
		assert_int_equal(h->log_from, end);
		end += h->body_size;
		lines += count_lines(h->body);
		/* But for the last, which the result pushes out; timers may be early by a turn's clock. */
		if (i > 0 && i + 2 < b->count)
			assert_true(h->at - h[-1].at >= PROGRESS_INTERVAL * 9 / 10);
	}
	assert_int_equal(lines, 60);
	assert_string_equal(b->heard[b->count - 2].message, "there");
	bench_end(b);
}

static void a_task_tells_rarely(void **state)
{
	(void)state;
	check_rare("tell");
}

static void a_thread_tells_rarely(void **state)
{
	(void)state;
	check_rare("tell_thread");
}

static void only_the_latest_of_a_long_log_is_kept(void **state)
{
	struct bench *b = bench();

	(void)state;
	bench_send(b, 1, "tell", "{\"steps\":2000}", 0);
	wait_for_result(b);
	assert_in_range(b->heard[0].body_size, LOG_KEPT - 64, LOG_KEPT);
	/* Whole lines, and where they stand in the whole log: all are of one length here. */
	size_t line = strcspn(b->heard[0].body, "\n") + 1;

	assert_int_equal(b->heard[0].body_size % line, 0);
	assert_int_equal(b->heard[0].log_from + b->heard[0].body_size, 2000 * line);
	bench_end(b);
}

static void several_lines_are_several_and_long_ones_are_cut(void **state)
{
	struct bench *b = bench();
	char args[10000] = "{\"steps\":1,\"line\":\"one\\ntwo\\n";

	(void)state;
	memset(args + strlen(args), 'x', 9000);
	strcat(args, "\"}");
	bench_send(b, 1, "tell", args, 0);
	wait_for_result(b);
	assert_int_equal(count_lines(b->heard[0].body), 3);
	assert_non_null(strstr(b->heard[0].body, "Z two\n"));
	assert_in_range(b->heard[0].body_size, LOG_LINE_MAX, LOG_LINE_MAX + 200);
	bench_end(b);
}

static void a_new_broker_is_told_again(void **state)
{
	struct bench *b = bench();
	struct buf kept = BUF_INIT;

	(void)state;
	assert_int_equal(record_put_token(&kept, 1), 0);
	assert_int_equal(record_put_token(&kept, 2), 0);
	bench_send(b, 1, "tell", "{\"steps\":2,\"pause\":\"1s\"}", 0);
	bench_send(b, 2, "tell", "{\"steps\":5}", 0);
	assert_true(bench_wait(b, 3));
	runner_offline(b->runner);
	bench_forget_heard(b);
	runner_welcome(b->runner, (struct span){ buf_data(&kept), buf_size(&kept) });
	assert_int_equal(b->count, 3); /* how far the first is; the second's log before its result */
	for (size_t i = 0; i < b->count; i++) {
		const struct heard *h = &b->heard[i];

		if (h->kind == RECORD_RESULT) {
			assert_int_equal(h->token, 2);
			assert_int_equal(h[-1].token, 2);
			continue;
		}
		assert_int_equal(h->log_from, 0);
		assert_int_equal(count_lines(h->body), h->token == 1 ? 1 : 5);
		assert_int_equal(h->fraction, h->token == 1 ? 500000 : 1000000);
	}
	runner_cancel(b->runner, 1);
	wait_for_result(b);
	buf_done(&kept);
	bench_run_for(b, 10000000);
	bench_end(b);
}

static void what_an_abandoned_handler_still_says_is_ignored(void **state)
{
	struct bench *b = bench();

	(void)state;
	bench_send(b, 1, "tell_thread", "{\"steps\":60,\"pause\":\"10ms\"}", 50);
	assert_int_equal(wait_for_result(b)->outcome, OUTCOME_ABANDONED);
	size_t count = b->count;

	assert_true(bench_wait(b, count + 1));
	assert_int_equal(b->heard[count].kind, RECORD_SLOT_FREED); /* nothing between */
	bench_end(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_short_job_tells_comes_at_once_before_its_result),
		cmocka_unit_test(a_task_tells_rarely),
		cmocka_unit_test(a_thread_tells_rarely),
		cmocka_unit_test(only_the_latest_of_a_long_log_is_kept),
		cmocka_unit_test(several_lines_are_several_and_long_ones_are_cut),
		cmocka_unit_test(a_new_broker_is_told_again),
		cmocka_unit_test(what_an_abandoned_handler_still_says_is_ignored),
	};

	return TAP_RUN(tests);
}
