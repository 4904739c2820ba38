#include "tap_main.h"

#include "children.h"
#include "worker_bench.h"
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static struct bench *bench_with_grace(int64_t grace)
{
	char *plugins[] = { (char *)(uintptr_t)TEST_WORKERS_DIR "/trouble.so",
			    (char *)(uintptr_t)TEST_WORKERS_DIR "/family.so", NULL };
	struct registry_options modules = { .directory = WORKERS_DIR, .plugins = plugins };
	struct bench *b = bench_new(&modules, grace);

	assert_non_null(b);
	return b;
}

static struct bench *bench(void)
{
	return bench_with_grace(0);
}

static void bench_end(struct bench *b)
{
	struct runner_counts counts;

	bench_acknowledge_all(b);
	runner_counts(b->runner, &counts);
	assert_int_equal(counts.running, 0);
	assert_int_equal(counts.waiting, 0);
	assert_int_equal(counts.kept, 0);
	assert_true(counts.unacknowledged == 0);
	assert_int_equal(b->page.on_cpu, 0);
	bench_free(b);
}

static void assert_ended(const struct heard *h, uint64_t token, enum job_outcome outcome,
			 const char *code)
{
	assert_int_equal(h->kind, RECORD_RESULT);
	assert_int_equal(h->token, token);
	if (strcmp(h->code, code) != 0)
		print_message("# %s: %s\n", h->code, h->message);
	assert_string_equal(h->code, code);
	assert_int_equal(h->outcome, outcome);
}

static void a_noop_succeeds_at_once(void **state)
{
	struct bench *b = bench();

	(void)state;
	bench_send(b, 7, "noop", NULL, 1000);
	bench_send(b, 8, "noop", "{}", 1000);
	bench_send(b, 9, "noop", "{\"echo\":[1,\"\\u00e4\"]}", 0);
	assert_int_equal(b->count, 3); /* without a turn of the loop */
	assert_ended(&b->heard[0], 7, OUTCOME_SUCCEEDED, "");
	assert_null(b->heard[0].meta);
	assert_string_equal(b->heard[2].meta, "{\"echo\":[1,\"\xc3\xa4\"]}");
	bench_end(b);
}

static void references_are_filled_in_and_checked_again(void **state)
{
	struct bench *b = bench();
	const char *inputs = "{\"0\":{\"meta\":{\"status\":200},\"body\":\"{\\\"n\\\":0.01}\"}}";

	(void)state;
	bench_send_inputs(b, 1, "noop", "{\"echo\":[{\"$ref\":\"0#/status\"},\"<{{0#/json/n}}>\"]}",
			  inputs, 0);
	assert_ended(&b->heard[0], 1, OUTCOME_SUCCEEDED, "");
	assert_string_equal(b->heard[0].meta, "{\"echo\":[200,\"<0.01>\"]}");
	bench_send_inputs(b, 2, "noop", "{\"echo\":{\"$ref\":\"0#/json/m\"}}", inputs, 0);
	assert_ended(&b->heard[1], 2, OUTCOME_FAILED, "bad_argument");
	assert_false(b->heard[1].retryable);
	assert_non_null(strstr(b->heard[1].message, "0#/json/m"));
	bench_send_inputs(b, 3, "sleep", "{\"seconds\":{\"$ref\":\"0#/json\"}}", inputs, 0);
	assert_ended(&b->heard[2], 3, OUTCOME_FAILED, "bad_argument");
	assert_false(b->heard[2].retryable);
	bench_send_inputs(b, 4, "noop", "{\"echo\":{\"$ref\":\"0#/json\"}}", "{", 0);
	assert_ended(&b->heard[3], 4, OUTCOME_FAILED, "bad_argument");
	bench_send_inputs(b, 5, "sleep", "{\"seconds\":{\"$ref\":\"0#/json/n\"}}", inputs, 5000);
	assert_true(bench_wait(b, 5));
	assert_ended(&b->heard[4], 5, OUTCOME_SUCCEEDED, "");
	bench_end(b);
}

static void end_child(struct bench *b, uint64_t number, enum job_state state, const char *code)
{
	const struct record_child_end end = { .number = number, .state = state, .code = span_of(code) };

	children_end(b->runner, 1, &end);
}

#define TWO_CHILDREN "{\"jobs\":[{\"type\":\"noop\"},{\"type\":\"noop\"}],\"how\":"

static void an_attempt_ends_after_its_children(void **state)
{
	struct bench *b = bench();

	(void)state;
	bench_send(b, 1, "fan", TWO_CHILDREN "\"leave\"}", 0);
	assert_true(bench_wait(b, 4));
	assert_int_equal(b->heard[0].kind, RECORD_CHILD);
	assert_int_equal(b->heard[1].kind, RECORD_CHILD);
	assert_int_equal(b->heard[2].kind, RECORD_CHILD_CANCEL);
	assert_int_equal(b->heard[3].kind, RECORD_CHILD_CANCEL);
	assert_int_equal(b->heard[3].token, 1);
	runner_cancel(b->runner, 1); /* it has ended, but for them */
	end_child(b, 2, JOB_CANCELLED, "");
	end_child(b, 2, JOB_CANCELLED, "");
	end_child(b, 99, JOB_CANCELLED, "");
	assert_int_equal(b->count, 4);
	end_child(b, 1, JOB_SUCCEEDED, "");
	assert_true(bench_wait(b, 5));
	assert_ended(&b->heard[4], 1, OUTCOME_SUCCEEDED, "");
	bench_end(b);
}

static void children_of_another_broker_are_lost(void **state)
{
	struct bench *b = bench();
	struct buf kept = BUF_INIT;

	(void)state;
	bench_send(b, 1, "fan", TWO_CHILDREN "\"exceptions\"}", 0);
	assert_true(bench_wait(b, 3));
	assert_int_equal(b->heard[2].kind, RECORD_PARK);
	end_child(b, 1, JOB_SUCCEEDED, "");
	runner_offline(b->runner);
	assert_int_equal(record_put_token(&kept, 1), 0);
	runner_welcome(b->runner, (struct span){ buf_data(&kept), buf_size(&kept) });
	buf_done(&kept);
	assert_true(bench_wait(b, 5));
	assert_int_equal(b->heard[3].kind, RECORD_UNPARK);
	assert_ended(&b->heard[4], 1, OUTCOME_SUCCEEDED, "");
	assert_non_null(strstr(b->heard[4].meta, "\"code\":\"lost\""));
	bench_end(b);
}

static void a_sleep_ends_in_time(void **state)
{
	struct bench *b = bench();

	(void)state;
	bench_send(b, 1, "sleep", "{\"seconds\":0.06}", 5000);
	bench_send(b, 2, "sleep", "{\"seconds\":\"20ms\"}", 5000);
	assert_true(bench_wait(b, 2));
	assert_ended(&b->heard[0], 2, OUTCOME_SUCCEEDED, "");
	assert_ended(&b->heard[1], 1, OUTCOME_SUCCEEDED, "");
	assert_in_range(b->heard[1].elapsed_us, 60000, 10000000);
	bench_end(b);
}

static void a_cancelled_sleep_ends_now(void **state)
{
	struct bench *b = bench();

	(void)state;
	bench_send(b, 1, "sleep", "{\"seconds\":86400}", 0);
	runner_cancel(b->runner, 1);
	runner_cancel(b->runner, 99);
	assert_true(bench_wait(b, 1));
	assert_ended(&b->heard[0], 1, OUTCOME_CANCELLED, "cancelled");
	assert_false(b->heard[0].retryable);
	runner_cancel(b->runner, 1); /* too late: nothing happens */
	bench_end(b);
}

static void an_attempt_past_its_timeout_is_ended(void **state)
{
	struct bench *b = bench();

	(void)state;
	bench_send(b, 1, "sleep", "{\"seconds\":86400}", 30);
	bench_send(b, 2, "echo", "{\"after\":86400}", 30);
	assert_true(bench_wait(b, 2));
	for (size_t i = 0; i < 2; i++) {
		assert_ended(&b->heard[i], i + 1, OUTCOME_TIMED_OUT, "timeout");
		assert_non_null(strstr(b->heard[i].message, "30ms"));
		assert_true(b->heard[i].retryable);
		assert_in_range(b->heard[i].elapsed_us, 30000, 10000000);
	}
	bench_end(b);
}

static void a_task_gives_body_and_metadata(void **state)
{
	struct bench *b = bench();

	(void)state;
	bench_send(b, 1, "echo", "{\"text\":\"a \\\"b\\\"\"}", 0);
	bench_send(b, 2, "echo", "{\"after\":0.01}", 0);
	assert_int_equal(b->count, 1); /* the first never suspended */
	assert_true(bench_wait(b, 2));
	assert_string_equal(b->heard[0].body, "a \"b\"");
	assert_string_equal(b->heard[0].meta, "{\"attempt\":1}");
	assert_string_equal(b->heard[1].body, "hello"); /* its default */
	bench_end(b);
}

static void a_task_can_be_cancelled_while_it_sleeps(void **state)
{
	struct bench *b = bench();

	(void)state;
	bench_send(b, 1, "echo", "{\"after\":86400}", 0);
	runner_cancel(b->runner, 1);
	assert_true(bench_wait(b, 1));
	assert_ended(&b->heard[0], 1, OUTCOME_CANCELLED, "cancelled");
	bench_end(b);
}

static void a_handler_that_ignores_its_cancel_is_abandoned(void **state)
{
	struct bench *b = bench_with_grace(20 * NSEC_PER_MSEC);

	(void)state;
	bench_send(b, 1, "ignore_cancel", "{\"seconds\":0.2}", 0);
	bench_send(b, 2, "ignore_cancel", "{\"seconds\":0.2}", 10);
	runner_cancel(b->runner, 1);
	assert_true(bench_wait(b, 2));
	assert_ended(&b->heard[0], 1, OUTCOME_ABANDONED, "cancelled");
	assert_ended(&b->heard[1], 2, OUTCOME_ABANDONED, "timeout");
	bench_acknowledge(b, 1); /* one before its handler ends, the other after */
	assert_true(bench_wait(b, 4));
	assert_int_equal(b->heard[2].kind, RECORD_SLOT_FREED);
	assert_int_equal(b->heard[3].kind, RECORD_SLOT_FREED);
	bench_end(b);
}

static void a_success_that_comes_before_the_grace_ends_stands(void **state)
{
	struct bench *b = bench();

	(void)state;
	bench_send(b, 1, "ignore_cancel", "{\"seconds\":0.02}", 0);
	runner_cancel(b->runner, 1);
	assert_true(bench_wait(b, 1));
	assert_ended(&b->heard[0], 1, OUTCOME_SUCCEEDED, "");
	bench_end(b);
}

static void work_is_done_on_a_thread(void **state)
{
	struct bench *b = bench();

	(void)state;
	bench_send(b, 1, "hash", "{\"text\":\"hello\"}", 0);
	bench_send(b, 2, "hash", "{\"rounds\":2,\"algorithm\":\"md5\"}", 0);
	assert_true(bench_wait(b, 2));
	assert_ended(&b->heard[0], 1, OUTCOME_SUCCEEDED, "");
	assert_string_equal(b->heard[0].meta,
			    "{\"algorithm\":\"sha256\",\"rounds\":1,\"digest\":"
			    "\"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\"}");
	/* printf %s d41d8cd98f00b204e9800998ecf8427e | xxd -r -p | md5sum */
	assert_non_null(strstr(b->heard[1].meta, "59adb24ef3cdbe0297f05b395827453f"));
	bench_end(b);
}

static void work_that_looks_at_the_clock_times_out(void **state)
{
	struct bench *b = bench();

	(void)state;
	bench_send(b, 1, "hash", "{\"rounds\":1000000000000}", 50);
	bench_send(b, 2, "hash", "{\"size\":1000000000000}", 50);
	assert_true(bench_wait(b, 2));
	assert_ended(&b->heard[0], 1, OUTCOME_TIMED_OUT, "timeout");
	assert_ended(&b->heard[1], 2, OUTCOME_TIMED_OUT, "timeout");
	bench_end(b);
}

static void work_that_blocks_is_abandoned(void **state)
{
	struct bench *b = bench();

	(void)state;
	bench_send(b, 1, "block", "{\"seconds\":0.5}", 50);
	assert_true(bench_wait(b, 2));
	assert_ended(&b->heard[0], 1, OUTCOME_ABANDONED, "timeout");
	assert_int_equal(b->heard[1].kind, RECORD_SLOT_FREED);
	bench_end(b);
}

static void time_in_the_queue_of_the_cpu_thread_does_not_count(void **state)
{
	struct bench *b = bench();

	(void)state;
	bench_send(b, 1, "block", "{\"seconds\":0.3}", 0);
	bench_send(b, 2, "block", "{\"seconds\":0.01}", 150);
	assert_true(bench_wait(b, 2));
	assert_ended(&b->heard[0], 1, OUTCOME_SUCCEEDED, "");
	assert_ended(&b->heard[1], 2, OUTCOME_SUCCEEDED, "");
	assert_in_range(b->heard[1].elapsed_us, 10000, 149000);
	bench_end(b);
}

static void work_that_no_thread_has_taken_can_be_cancelled_and_returned(void **state)
{
	struct bench *b = bench();

	(void)state;
	bench_send(b, 1, "block", "{\"seconds\":0.2}", 0);
	bench_run_for(b, 20 * NSEC_PER_MSEC); /* the one thread has it */
	bench_send(b, 2, "block", "{\"seconds\":0}", 0);
	bench_send(b, 3, "block", "{\"seconds\":0}", 0);
	runner_cancel(b->runner, 2);
	runner_drain(b->runner);
	assert_true(bench_wait(b, 3));
	assert_ended(&b->heard[0], 2, OUTCOME_CANCELLED, "cancelled");
	assert_ended(&b->heard[1], 3, OUTCOME_RETURNED, "");
	assert_ended(&b->heard[2], 1, OUTCOME_SUCCEEDED, "");
	bench_send(b, 4, "noop", NULL, 0);
	assert_ended(&b->heard[3], 4, OUTCOME_RETURNED, "");
	bench_end(b);
}

static void a_failure_says_why_and_whether_to_retry(void **state)
{
	struct bench *b = bench();

	(void)state;
	bench_send(b, 1, "fail_retry", "{\"retry_after\":\"1500us\"}", 0);
	bench_send(b, 2, "fail_retry", "{\"final\":true}", 0);
	bench_send(b, 3, "fail_retry", "{\"times\":0,\"busy\":true}", 0);
	bench_send(b, 4, "fail_retry", "{\"busy\":true}", 0);
	assert_ended(&b->heard[0], 1, OUTCOME_FAILED, "not_yet");
	assert_true(b->heard[0].retryable);
	assert_int_equal(b->heard[0].retry_after_ms, 2);
	assert_string_equal(b->heard[0].message, "attempt 1 of 1 fails");
	assert_ended(&b->heard[1], 2, OUTCOME_FAILED, "for_good");
	assert_false(b->heard[1].retryable);
	assert_ended(&b->heard[2], 3, OUTCOME_SUCCEEDED, "");
	assert_ended(&b->heard[3], 4, OUTCOME_FAILED, "not_yet");
	for (int i = 0; i < 4; i++) /* a success was not too much for anybody */
		assert_int_equal(b->heard[i].busy, i == 3);
	bench_end(b);
}

static void bad_arguments_never_reach_a_handler(void **state)
{
	static const char *const bad[] = {
		NULL, "{}", "{", "[1]", "{\"seconds\":-1}", "{\"second\":1}", "{\"seconds\":1} x"
	};
	struct bench *b = bench();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		bench_send(b, i + 1, "sleep", bad[i], 0);
		assert_int_equal(b->count, i + 1);
		assert_ended(&b->heard[i], i + 1, OUTCOME_FAILED, "bad_argument");
		assert_false(b->heard[i].retryable);
	}
	assert_non_null(strstr(b->heard[0].message, "seconds"));
	bench_end(b);
}

static void an_unknown_type_number_is_answered(void **state)
{
	struct bench *b = bench();

	(void)state;
	bench_send(b, 1, "no such type", NULL, 0);
	assert_ended(&b->heard[0], 1, OUTCOME_FAILED, "unknown_type");
	bench_end(b);
}

static void an_attempt_that_is_held_is_not_run_twice(void **state)
{
	struct bench *b = bench();

	(void)state;
	bench_send(b, 1, "noop", NULL, 0);
	bench_send(b, 1, "noop", NULL, 0); /* its result is kept */
	assert_int_equal(b->count, 1);
	bench_acknowledge(b, 1);
	bench_acknowledge(b, 1);
	bench_end(b);
}

static void results_are_kept_and_sent_again_to_a_broker_that_came_back(void **state)
{
	struct buf held = BUF_INIT, kept = BUF_INIT;
	struct bench *b = bench();

	(void)state;
	bench_send(b, 1, "echo", NULL, 0);
	bench_send(b, 2, "noop", NULL, 0);
	bench_send(b, 3, "sleep", "{\"seconds\":0.02}", 0);
	bench_send(b, 4, "sleep", "{\"seconds\":86400}", 0);
	bench_acknowledge(b, 2);
	runner_offline(b->runner);
	bench_run_for(b, 60 * NSEC_PER_MSEC);
	assert_int_equal(b->count, 2); /* 3 has ended in silence */
	assert_int_equal(runner_held(b->runner, &held), 0);
	assert_int_equal(buf_size(&held) / 8, 3);
	assert_int_equal(record_put_token(&kept, 1), 0);
	assert_int_equal(record_put_token(&kept, 3), 0);
	assert_int_equal(record_put_token(&kept, 77), 0); /* not ours */
	runner_welcome(b->runner, (struct span){ buf_data(&kept), buf_size(&kept) });
	assert_int_equal(b->count, 4);
	assert_int_equal(b->heard[2].token + b->heard[3].token, 4);
	bench_run_for(b, 20 * NSEC_PER_MSEC); /* 4 was cancelled, without a word */
	assert_int_equal(b->count, 4);
	buf_done(&held);
	buf_done(&kept);
	bench_end(b);
}

static void a_new_broker_forgets_what_it_does_not_keep(void **state)
{
	struct bench *b = bench_with_grace(20 * NSEC_PER_MSEC);
	struct buf held = BUF_INIT;

	(void)state;
	bench_send(b, 1, "noop", NULL, 0);
	bench_send(b, 2, "ignore_cancel", "{\"seconds\":0.1}", 0);
	bench_send(b, 3, "block", "{\"seconds\":0.1}", 0);
	runner_offline(b->runner);
	runner_welcome(b->runner, (struct span){ 0 });
	assert_int_equal(runner_held(b->runner, &held), 0);
	assert_int_equal(buf_size(&held), 0);
	bench_run_for(b, 300 * NSEC_PER_MSEC);
	assert_int_equal(b->count, 1);
	bench_end(b);
}

static void an_abandoned_attempt_that_ended_meanwhile_frees_its_slot_on_replay(void **state)
{
	struct bench *b = bench_with_grace(10 * NSEC_PER_MSEC);
	struct buf kept = BUF_INIT;

	(void)state;
	bench_send(b, 1, "ignore_cancel", "{\"seconds\":0.05}", 0);
	runner_cancel(b->runner, 1);
	assert_true(bench_wait(b, 1));
	runner_offline(b->runner);
	bench_run_for(b, 100 * NSEC_PER_MSEC);
	assert_int_equal(b->count, 1);
	assert_int_equal(record_put_token(&kept, 1), 0);
	runner_welcome(b->runner, (struct span){ buf_data(&kept), buf_size(&kept) });
	assert_int_equal(b->count, 3);
	assert_ended(&b->heard[1], 1, OUTCOME_ABANDONED, "cancelled");
	assert_int_equal(b->heard[2].kind, RECORD_SLOT_FREED);
	buf_done(&kept);
	bench_end(b);
}

static void unacknowledged_results_hold_back_what_follows(void **state)
{
	struct runner_counts counts;
	struct bench *b = bench();

	(void)state;
	for (uint64_t token = 1; token <= 20; token++)
		bench_send(b, token, "big", "{\"body\":1048576}", 0);
	runner_counts(b->runner, &counts);
	assert_true(counts.unacknowledged >= UNACKNOWLEDGED_MAX);
	assert_true(counts.unacknowledged < UNACKNOWLEDGED_MAX + (2u << 20));
	assert_int_equal(b->count, 16);
	assert_int_equal(counts.waiting, 4);
	runner_cancel(b->runner, 18);
	assert_ended(&b->heard[16], 18, OUTCOME_CANCELLED, "cancelled");
	bench_acknowledge(b, 1);
	bench_acknowledge(b, 2);
	assert_true(bench_wait(b, 18));
	assert_ended(&b->heard[17], 17, OUTCOME_SUCCEEDED, "");
	bench_run_for(b, 5 * NSEC_PER_MSEC);
	runner_drain(b->runner);
	assert_true(bench_wait(b, 20));
	assert_ended(&b->heard[19], 20, OUTCOME_RETURNED, "");
	bench_end(b);
}

static void a_result_past_the_limits_fails_and_the_largest_fits_a_record(void **state)
{
	struct bench *b = bench();

	(void)state;
	bench_send(b, 1, "big", "{\"body\":1048576,\"meta\":61440}", 0);
	assert_ended(&b->heard[0], 1, OUTCOME_SUCCEEDED, "");
	assert_int_equal(b->heard[0].body_size, 1048576);
	assert_true(b->record_bytes > 0 && b->record_bytes <= RECORD_MAX);
	bench_send(b, 2, "big", "{\"body\":1048577}", 0);
	assert_ended(&b->heard[1], 2, OUTCOME_FAILED, "failed");
	bench_send(b, 3, "big", "{\"meta\":\"66KiB\"}", 0);
	assert_ended(&b->heard[2], 3, OUTCOME_FAILED, "failed");
	assert_true(b->record_bytes > 0 && b->record_bytes <= RECORD_MAX);
	bench_end(b);
}

/* Run one attempt in a process of its own, which it takes down; whom the page charges. */
static uint64_t charged_for(const char *type, const char *args)
{
	struct shared_page *page =
		mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t token;
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		char *plugins[] = { (char *)(uintptr_t)TEST_WORKERS_DIR "/trouble.so", NULL };
		struct registry_options modules = { .plugins = plugins };
		struct bench *b;

		signal(SIGSEGV, SIG_DFL); /* not cmocka's */
		signal(SIGABRT, SIG_DFL);
		if (!freopen("/dev/null", "w", stderr) || charge_install(page) < 0)
			_exit(0);
		b = bench_new(&modules, 0);
		bench_charge_to(page);
		bench_send(b, 5, "echo", "{\"after\":86400}", 0);
		bench_send(b, 42, type, args, 0);
		bench_send(b, 6, "echo", "{\"after\":86400}", 0);
		bench_run_for(b, 5 * NSEC_PER_SEC);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) != 0);
	token = page->on_cpu;
	munmap(page, sizeof(*page));
	return token;
}

static void a_crash_is_charged_to_its_attempt(void **state)
{
	(void)state;
	assert_int_equal(charged_for("crash", "{}"), 42);
	assert_int_equal(charged_for("crash", "{\"how\":\"abort\"}"), 42);
	assert_int_equal(charged_for("crash", "{\"after\":0.02}"), 42); /* after it was suspended */
	assert_int_equal(charged_for("crash_thread", "{}"), 42);
	assert_int_equal(charged_for("crash_thread", "{\"how\":\"abort\"}"), 42);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
static void a_sleeping_job_costs_at_most_350_bytes(void **state)
{
	struct bench *b = bench();
	size_t before, after, count = 50000;

	(void)state;
	before = mallinfo2().uordblks + mallinfo2().hblkhd;
	for (uint64_t token = 1; token <= count; token++)
		bench_send(b, token, "sleep", "{\"seconds\":0.1}", 30000);
	after = mallinfo2().uordblks + mallinfo2().hblkhd;
	print_message("# %zu bytes a sleep\n", (after - before) / count);
	assert_true((after - before) / count <= 350);
	runner_offline(b->runner);
	bench_run_for(b, NSEC_PER_SEC);
	runner_welcome(b->runner, (struct span){ 0 });
	bench_end(b);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_noop_succeeds_at_once),
		cmocka_unit_test(references_are_filled_in_and_checked_again),
		cmocka_unit_test(an_attempt_ends_after_its_children),
		cmocka_unit_test(children_of_another_broker_are_lost),
		cmocka_unit_test(a_sleep_ends_in_time),
		cmocka_unit_test(a_cancelled_sleep_ends_now),
		cmocka_unit_test(an_attempt_past_its_timeout_is_ended),
		cmocka_unit_test(a_task_gives_body_and_metadata),
		cmocka_unit_test(a_task_can_be_cancelled_while_it_sleeps),
		cmocka_unit_test(a_handler_that_ignores_its_cancel_is_abandoned),
		cmocka_unit_test(a_success_that_comes_before_the_grace_ends_stands),
		cmocka_unit_test(work_is_done_on_a_thread),
		cmocka_unit_test(work_that_looks_at_the_clock_times_out),
		cmocka_unit_test(work_that_blocks_is_abandoned),
		cmocka_unit_test(time_in_the_queue_of_the_cpu_thread_does_not_count),
		cmocka_unit_test(work_that_no_thread_has_taken_can_be_cancelled_and_returned),
		cmocka_unit_test(a_failure_says_why_and_whether_to_retry),
		cmocka_unit_test(bad_arguments_never_reach_a_handler),
		cmocka_unit_test(an_unknown_type_number_is_answered),
		cmocka_unit_test(an_attempt_that_is_held_is_not_run_twice),
		cmocka_unit_test(results_are_kept_and_sent_again_to_a_broker_that_came_back),
		cmocka_unit_test(a_new_broker_forgets_what_it_does_not_keep),
		cmocka_unit_test(an_abandoned_attempt_that_ended_meanwhile_frees_its_slot_on_replay),
		cmocka_unit_test(unacknowledged_results_hold_back_what_follows),
		cmocka_unit_test(a_result_past_the_limits_fails_and_the_largest_fits_a_record),
		cmocka_unit_test(a_crash_is_charged_to_its_attempt),
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
		cmocka_unit_test(a_sleeping_job_costs_at_most_350_bytes),
#endif
	};

	return TAP_RUN(tests);
}
