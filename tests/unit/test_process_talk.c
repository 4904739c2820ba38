/* Talking to processes: input and outputs at once, caps, who closes or keeps a pipe, what cut-short calls leave. */
#include "process_check.h"
#include <signal.h>

#define MUCH (10u << 20)

static char *much(size_t size)
{
	char *data = malloc(size);

	for (size_t i = 0; data && i < size; i++)
		data[i] = (char)(i * 31 >> 5);
	return data;
}

REAL_CASE(input_goes_in_while_outputs_come_out)
{
	GA_AUTO_PROCESS ga_process *p = NULL;
	struct ga_output out, err;
	char *data = much(MUCH);

	EXPECT(data && start_shell("tee /dev/stderr", &all_pipes, &p) == 0);
	EXPECT(ga_process_communicate(p, data, MUCH, MUCH, SOON, &out, &err) == 0);
	EXPECT(out.size == MUCH && !out.cut && !out.open && !memcmp(out.data, data, MUCH));
	EXPECT(err.size == MUCH && !err.cut && !err.open && !memcmp(err.data, data, MUCH));
	EXPECT(out.data[MUCH] == '\0');
	ga_output_free(&out);
	ga_output_free(&err);
	EXPECT(!out.data);
	free(data);
	return 0;
}

REAL_CASE(sixty_four_megabytes_go_through_a_cap_of_one)
{
	GA_AUTO_PROCESS ga_process *p = NULL;
	struct ga_output out, err;

	EXPECT(start_shell("head -c 67108864 /dev/zero; echo done >&2; exit 6", &all_pipes, &p) == 0);
	EXPECT(ga_process_communicate(p, NULL, 0, 1u << 20, SOON, &out, &err) == 6);
	EXPECT(out.size == 1u << 20 && out.cut && !out.open);
	EXPECT(!err.cut && !strcmp(err.data, "done\n"));
	ga_output_free(&out);
	ga_output_free(&err);
	return 0;
}

REAL_CASE(an_output_that_just_fits_is_not_cut)
{
	static const struct {
		size_t cap, size;
		bool cut;
	} cases[] = { { 6, 6, false }, { 5, 5, true }, { 7, 6, false }, { 0, 0, true } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		GA_AUTO_PROCESS ga_process *p = NULL;
		struct ga_output out;

		EXPECT(start_shell("printf 123; printf 456", &all_pipes, &p) == 0);
		EXPECT(ga_process_communicate(p, NULL, 0, cases[i].cap, SOON, &out, NULL) == 0);
		EXPECT(out.size == cases[i].size && out.cut == cases[i].cut);
		EXPECT(!strncmp(out.data, "123456", out.size) && out.data[out.size] == '\0');
		ga_output_free(&out);
	}
	return 0;
}

REAL_CASE(without_pipes_it_only_waits)
{
	GA_AUTO_PROCESS ga_process *p = NULL;
	struct ga_output out = { .cut = true }, err = { .size = 1 };

	EXPECT(start_shell("exit 2", NULL, &p) == 0);
	EXPECT(ga_process_communicate(p, NULL, 0, 1, SOON, &out, &err) == 2);
	EXPECT(!out.data && !out.cut && !err.data && err.size == 0);
	return 0;
}

REAL_CASE(a_child_that_closes_its_outputs_and_runs_on_is_waited_for)
{
	GA_AUTO_PROCESS ga_process *p = NULL;
	struct ga_output out, err;

	EXPECT(start_shell("echo before; exec <&- >&- 2>&-; sleep 0.1; exit 5", &all_pipes, &p) == 0);
	EXPECT(ga_process_communicate(p, NULL, 0, 100, SOON, &out, &err) == 5);
	EXPECT(!strcmp(out.data, "before\n") && !out.open && err.size == 0);
	ga_output_free(&out);
	ga_output_free(&err);
	return 0;
}

REAL_CASE(a_descendant_that_keeps_the_pipe_delays_the_end_by_a_bounded_time)
{
	GA_AUTO_PROCESS ga_process *p = NULL;
	struct ga_output out, err;
	int64_t start = ga_now();

	EXPECT(start_shell("sleep 100 & echo said; exit 4", &all_pipes, &p) == 0);
	EXPECT(ga_process_communicate(p, "in", 2, 100, SOON, &out, &err) == 4);
	EXPECT(ga_now() - start < GA_SECONDS(10));
	EXPECT(!strcmp(out.data, "said\n") && out.open && err.open);
	ga_output_free(&out);
	ga_output_free(&err);
	return 0;
}

/* Its output never pauses, so only the time can end it. */
REAL_CASE(a_descendant_that_writes_for_ever_does_so_too)
{
	GA_AUTO_PROCESS ga_process *p = NULL;
	struct ga_output out;

	EXPECT(start_shell("yes & exit 0", &all_pipes, &p) == 0);
	EXPECT(ga_process_communicate(p, NULL, 0, 1000, SOON, &out, NULL) == 0);
	EXPECT(out.size == 1000 && out.cut && out.open);
	ga_output_free(&out);
	return 0;
}

REAL_CASE(a_child_that_ignores_its_input_is_no_error)
{
	GA_AUTO_PROCESS ga_process *p = NULL, *q = NULL;
	char *data = much(MUCH);

	EXPECT(data && start_shell("head -c 10 >/dev/null", &all_pipes, &p) == 0);
	EXPECT(ga_process_communicate(p, data, MUCH, 0, SOON, NULL, NULL) == 0);
	EXPECT(start_shell("sleep 100 & exit 0", &all_pipes, &q) == 0); /* nor one that others inherit */
	EXPECT(ga_process_communicate(q, data, MUCH, 0, SOON, NULL, NULL) == 0);
	free(data);
	return 0;
}

/* Ends with TERM, and says so; until then it reads its input. */
#define PATIENT                                                                                    \
	"trap 'echo two; exit 8' TERM; echo one; head -c 100000 | cksum >&2; touch fed; "          \
	"while :; do sleep 0.01; done"

REAL_CASE(after_a_timeout_it_goes_on_where_it_was)
{
	GA_AUTO_PROCESS ga_process *p = NULL;
	struct ga_output out = { 0 }, err = { 0 };
	struct ga_process_options o = all_pipes;
	char *data = much(100000);
	char directory[] = "/tmp/test_process_XXXXXX", mark[sizeof(directory) + 4];
	int r;

	EXPECT(data && mkdtemp(directory));
	snprintf(mark, sizeof(mark), "%s/fed", directory);
	o.directory = directory;
	EXPECT(start_shell(PATIENT, &o, &p) == 0);
	r = ga_process_communicate(p, data, 100000, 1000, ga_now() + GA_MILLISECONDS(1), &out, &err);
	EXPECT(r == -ETIMEDOUT && !out.data && !err.data);
	/* Until it has been fed, in slices of time: then the child makes this file. */
	for (int64_t slice = GA_MILLISECONDS(1); access(mark, F_OK) < 0; slice += slice / 4) {
		r = ga_process_communicate(p, data, 100000, 1000, ga_now() + slice, NULL, NULL);
		EXPECT(r == -ETIMEDOUT);
	}
	EXPECT(unlink(mark) == 0 && rmdir(directory) == 0);
	EXPECT(ga_process_kill(p, SIGTERM) == 0);
	EXPECT(ga_process_communicate(p, data, 100000, 1000, SOON, &out, &err) == 8);
	EXPECT(!strcmp(out.data, "one\ntwo\n"));
	EXPECT(strstr(err.data, " 100000\n")); /* as many bytes as were given, not some twice */
	ga_output_free(&out);
	ga_output_free(&err);
	free(data);
	return 0;
}

static int communicate(const void *arg)
{
	return ga_process_communicate(*(ga_process *const *)arg, NULL, 0, 1000, GA_NEVER, NULL, NULL);
}

REAL_CASE(cancelled_it_leaves_the_process_and_loses_nothing)
{
	GA_AUTO_PROCESS ga_process *p = NULL;
	GA_AUTO ga_future *task = NULL;
	struct ga_output out;
	char *line;

	EXPECT(start_shell("trap 'echo two; exit 8' TERM; echo one; echo ready >&2; while :; do sleep 0.01; done",
			   &all_pipes, &p) == 0);
	EXPECT(ga_stream_read_until(ga_process_stderr(p), "\n", 100, SOON, &line) == 6);
	task = ga_spawn(communicate, &p);
	for (int i = 0; i < 10; i++)
		EXPECT(one_turn() == 0);
	EXPECT(ga_cancel(task) && ga_await(task) == -ECANCELED);
	EXPECT(ga_process_status(p) == -EINPROGRESS && ga_process_kill(p, SIGTERM) == 0);
	EXPECT(ga_process_communicate(p, NULL, 0, 1000, SOON, &out, NULL) == 8);
	EXPECT(!strcmp(out.data, "one\ntwo\n"));
	ga_output_free(&out);
	return 0;
}

REAL_CASE(its_streams_are_read_and_written_line_by_line)
{
	GA_AUTO_PROCESS ga_process *p = NULL;
	ga_stream *in, *out;
	char *line;

	EXPECT(start_shell("while read x; do echo got $x; done; echo end", &all_pipes, &p) == 0);
	in = ga_process_stdin(p);
	out = ga_process_stdout(p);
	for (int i = 0; i < 3; i++) {
		EXPECT(ga_stream_write(in, "line\n", 5, SOON) == 0);
		EXPECT(ga_stream_read_until(out, "\n", 100, SOON, &line) == 9 &&
		       !memcmp(line, "got line\n", 9));
	}
	EXPECT(ga_stream_shutdown(in) == 0);
	EXPECT(ga_stream_read_until(out, "\n", 100, SOON, &line) == 4 && !memcmp(line, "end\n", 4));
	EXPECT(ga_process_wait(p, SOON) == 0);
	EXPECT(ga_stream_write(in, "line\n", 5, SOON) == -EPIPE);
	return 0;
}

static int one_of_many(const void *arg)
{
	int n = *(const int *)arg;
	GA_AUTO_PROCESS ga_process *p = NULL;
	char script[32], text[16];
	struct ga_output out;
	int length = snprintf(text, sizeof(text), "%d", n);

	snprintf(script, sizeof(script), "cat; exit %d", n);
	EXPECT(start_shell(script, &all_pipes, &p) == 0);
	EXPECT(ga_process_communicate(p, text, (size_t)length, 100, SOON, &out, NULL) == n);
	EXPECT(!strcmp(out.data, text));
	ga_output_free(&out);
	return 0;
}

REAL_CASE(a_hundred_run_at_once)
{
	ga_future *tasks[100];
	int n[100];

	for (int i = 0; i < 100; i++) {
		n[i] = i;
		tasks[i] = ga_spawn(one_of_many, &n[i]);
	}
	EXPECT(ga_gather(tasks, 100, 0) == 0);
	ga_release_all(tasks, 100);
	return 0;
}

static int never_returns(const void *unused GA_UNUSED)
{
	GA_AUTO_PROCESS ga_process *p = NULL;

	EXPECT(start_shell("yes", &all_pipes, &p) == 0);
	return ga_process_communicate(p, NULL, 0, 10, GA_NEVER, NULL, NULL);
}

REAL_CASE(a_loop_that_ends_ends_a_conversation)
{
	ga_release(ga_spawn(never_returns, NULL));
	return ga_sleep(GA_MILLISECONDS(10));
}

static ga_process *outside;

static int start_outside(const void *unused GA_UNUSED)
{
	return start_shell("true", NULL, &outside);
}

static void outside_of_a_task_it_is_eperm(void **state GA_UNUSED)
{
	run_real(start_outside);
	assert_int_equal(ga_process_communicate(outside, NULL, 0, 0, GA_NEVER, NULL, NULL), -EPERM);
	ga_process_free(outside);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(input_goes_in_while_outputs_come_out),
		cmocka_unit_test(sixty_four_megabytes_go_through_a_cap_of_one),
		cmocka_unit_test(an_output_that_just_fits_is_not_cut),
		cmocka_unit_test(without_pipes_it_only_waits),
		cmocka_unit_test(a_child_that_closes_its_outputs_and_runs_on_is_waited_for),
		cmocka_unit_test(a_descendant_that_keeps_the_pipe_delays_the_end_by_a_bounded_time),
		cmocka_unit_test(a_descendant_that_writes_for_ever_does_so_too),
		cmocka_unit_test(a_child_that_ignores_its_input_is_no_error),
		cmocka_unit_test(after_a_timeout_it_goes_on_where_it_was),
		cmocka_unit_test(cancelled_it_leaves_the_process_and_loses_nothing),
		cmocka_unit_test(its_streams_are_read_and_written_line_by_line),
		cmocka_unit_test(a_hundred_run_at_once),
		cmocka_unit_test(a_loop_that_ends_ends_a_conversation),
		cmocka_unit_test(outside_of_a_task_it_is_eperm),
	};

	return TAP_RUN(tests);
}
