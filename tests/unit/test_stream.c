/*
 * test_stream.c — what every stream does, over each transport: TCP, a Unix socket, TLS.
 */
#include "tap_main.h"

#include "stream_rig.h"
#include "tls_rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void run(void **state, ga_serve_fn handler, int (*body)(struct bench *b),
		struct ga_serve_options options)
{
	const enum transport *transport = *state;

	assert_int_equal(bench_run(*transport, handler, body, options), 0);
}

static int lines_body(struct bench *b)
{
	char *line, data[8];
	ga_stream *s;

	EXPECT(bench_connect(b, &s) == 0);
	EXPECT(ga_stream_write_two(s, "one\r", 4, "\ntwo\r\nrest", 10, SOON) == 0);
	EXPECT(ga_stream_read_until(s, "\r\n", 100, SOON, &line) == 5 && !memcmp(line, "one\r\n", 5));
	EXPECT(ga_stream_read_until(s, "\r\n", 100, SOON, &line) == 5 && !memcmp(line, "two\r\n", 5));
	EXPECT(ga_stream_read_exactly(s, data, 4, SOON) == 0 && !memcmp(data, "rest", 4));
	EXPECT(ga_stream_write(s, "0123456789", 10, SOON) == 0);
	EXPECT(ga_stream_read_until(s, "\n", 10, SOON, &line) == -EMSGSIZE);
	EXPECT(ga_stream_read(s, data, 3, SOON) == 3 && !memcmp(data, "012", 3));
	EXPECT(ga_stream_shutdown(s) == 0);
	EXPECT(ga_stream_read_until(s, "\n", 100, SOON, &line) == -ENODATA);
	EXPECT(ga_stream_read_exactly(s, data, 8, SOON) == -ENODATA);
	EXPECT(ga_stream_read(s, data, 8, SOON) == 7 && !memcmp(data, "3456789", 7));
	EXPECT(ga_stream_read(s, data, 8, SOON) == 0);
	ga_stream_close(s);
	return 0;
}

static void what_is_written_is_read_by_lines_and_bytes(void **state)
{
	run(state, echo, lines_body, (struct ga_serve_options){ 0 });
}

#define MUCH ((size_t)8 << 20)

static char sent[MUCH], received[MUCH];

static int write_much(const void *arg)
{
	ga_stream *s = (ga_stream *)(uintptr_t)arg;

	return ga_stream_write(s, sent, MUCH, SOON);
}

/* More than the kernel's buffers hold: writer and reader of one stream must both wait for each other's peer. */
static int much_body(struct bench *b)
{
	ga_future *writer;
	ga_stream *s;

	EXPECT(bench_connect(b, &s) == 0);
	writer = ga_spawn(write_much, s);
	EXPECT(ga_stream_read_exactly(s, received, MUCH, SOON) == 0);
	EXPECT(ga_await(writer) == 0);
	EXPECT(memcmp(received, sent, MUCH) == 0);
	ga_release(writer);
	ga_stream_close(s);
	return 0;
}

static void a_stream_reads_and_writes_at_once_beyond_the_kernels_buffers(void **state)
{
	run(state, echo, much_body, (struct ga_serve_options){ 0 });
}

static int deadline_body(struct bench *b)
{
	char data[4], *line;
	ga_stream *s;

	EXPECT(bench_connect(b, &s) == 0);
	EXPECT(ga_stream_read(s, data, 4, ga_now() + GA_MILLISECONDS(20)) == -ETIMEDOUT);
	EXPECT(ga_stream_read_exactly(s, data, 4, ga_now() - 1) == -ETIMEDOUT);
	EXPECT(ga_stream_read_until(s, "\n", 4, ga_now() + GA_MILLISECONDS(5), &line) == -ETIMEDOUT);
	EXPECT(ga_stream_write(s, "abcd", 4, SOON) == 0); /* and works on */
	EXPECT(ga_stream_read_exactly(s, data, 4, SOON) == 0 && !memcmp(data, "abcd", 4));
	ga_stream_close(s);
	return 0;
}

static void a_deadline_ends_a_read_and_the_stream_works_on(void **state)
{
	run(state, echo, deadline_body, (struct ga_serve_options){ 0 });
}

static int never_reads(ga_stream *s, const void *arg)
{
	(void)s;
	(void)arg;
	return ga_sleep(GA_SECONDS(60));
}

static int stuck_body(struct bench *b)
{
	ga_stream *s;
	int r;

	EXPECT(bench_connect(b, &s) == 0);
	r = ga_stream_write(s, sent, MUCH, ga_now() + GA_MILLISECONDS(50));
	ga_stream_close(s);
	EXPECT(r == -ETIMEDOUT);
	return 0;
}

static void a_deadline_ends_a_write_to_a_peer_that_never_reads(void **state)
{
	run(state, never_reads, stuck_body, (struct ga_serve_options){ 0 });
}

static int read_one(const void *arg)
{
	ga_stream *s = (ga_stream *)(uintptr_t)arg;
	char c;

	return (int)ga_stream_read(s, &c, 1, GA_NEVER);
}

static int cancel_body(struct bench *b)
{
	ga_future *reader;
	ga_stream *s;

	EXPECT(bench_connect(b, &s) == 0);
	reader = ga_spawn(read_one, s);
	EXPECT(ga_sleep(GA_MILLISECONDS(5)) == 0);
	EXPECT(read_one(s) == -EBUSY);
	EXPECT(ga_cancel(reader));
	EXPECT(ga_await(reader) == -ECANCELED);
	ga_release(reader);
	EXPECT(ga_stream_write(s, "x", 1, SOON) == 0);
	EXPECT(read_one(s) == 1);
	ga_stream_close(s);
	return 0;
}

static void cancelling_a_reader_leaves_the_stream_whole(void **state)
{
	run(state, echo, cancel_body, (struct ga_serve_options){ 0 });
}

static int ping(const void *arg)
{
	struct bench *b = (struct bench *)(uintptr_t)arg;
	ga_stream *s;
	char data[4];

	EXPECT(bench_connect(b, &s) == 0);
	for (int i = 0; i < 5; i++) {
		EXPECT(ga_stream_write(s, "ping", 4, SOON) == 0);
		EXPECT(ga_stream_read_exactly(s, data, 4, SOON) == 0 && !memcmp(data, "ping", 4));
	}
	ga_stream_close(s);
	return 0;
}

static int many_body(struct bench *b)
{
	enum { COUNT = 200 };
	ga_future *tasks[COUNT];
	int r;

	for (int i = 0; i < COUNT; i++)
		tasks[i] = ga_spawn(ping, b);
	r = ga_gather(tasks, COUNT, 0);
	ga_release_all(tasks, COUNT);
	return r;
}

static void two_hundred_connections_are_served_at_once(void **state)
{
	run(state, echo, many_body, (struct ga_serve_options){ 0 });
}

static int few_body(struct bench *b)
{
	int r = many_body(b);

	EXPECT(r == 0);
	EXPECT(b->handlers_max == 3);
	return 0;
}

static void no_more_than_max_streams_are_served_at_once(void **state)
{
	run(state, echo, few_body, (struct ga_serve_options){ .max_streams = 3 });
}

static int left_open_body(struct bench *b)
{
	ga_stream *s[10];
	char c;

	for (int i = 0; i < 10; i++) {
		EXPECT(bench_connect(b, &s[i]) == 0);
		EXPECT(ga_stream_write(s[i], "x", 1, SOON) == 0);
		EXPECT(ga_stream_read(s[i], &c, 1, SOON) == 1);
	}
	EXPECT(b->handlers == 10);
	for (int i = 0; i < 10; i++)
		ga_stream_close(s[i]);
	return 0; /* bench_main() finds no handler left after the server's end */
}

static void cancelling_a_server_cancels_and_joins_its_handlers(void **state)
{
	run(state, echo, left_open_body, (struct ga_serve_options){ 0 });
}

static bool may_read;

static int echo_late(ga_stream *s, const void *arg)
{
	while (!may_read)
		EXPECT(ga_sleep(GA_MILLISECONDS(1)) == 0);
	return echo(s, arg);
}

static int late_body(struct bench *b)
{
	ga_future *writer;
	ga_stream *s;

	may_read = false;
	EXPECT(bench_connect(b, &s) == 0);
	writer = ga_spawn(write_much, s);
	EXPECT(ga_sleep(GA_MILLISECONDS(50)) == 0);
	EXPECT(!ga_done(writer));
	may_read = true;
	EXPECT(ga_stream_read_exactly(s, received, MUCH, SOON) == 0);
	EXPECT(ga_await(writer) == 0);
	EXPECT(memcmp(received, sent, MUCH) == 0);
	ga_release(writer);
	ga_stream_close(s);
	return 0;
}

static void a_writer_waits_for_a_reader_that_begins_late(void **state)
{
	run(state, echo_late, late_body, (struct ga_serve_options){ 0 });
}

/* What is written comes back, so that nothing is on its way; then `data` is sent and has arrived. */
static int send_and_arrive(ga_stream *s, const char *data)
{
	char back[4];

	EXPECT(ga_stream_write(s, "ping", 4, SOON) == 0);
	EXPECT(ga_stream_read_exactly(s, back, 4, SOON) == 0);
	EXPECT(ga_stream_write(s, data, strlen(data), SOON) == 0);
	GA_AUTO ga_future *arrived = ga_ready_future(ga_stream_fd(s), false);
	return ga_await_until(arrived, SOON);
}

static int past_body(struct bench *b)
{
	int64_t past = ga_now() - GA_SECONDS(1);
	char data[8], *line;
	ga_stream *s;

	EXPECT(bench_connect(b, &s) == 0);
	EXPECT(send_and_arrive(s, "abcd\nef") == 0);
	EXPECT(ga_stream_read(s, data, 2, past) == 2 && !memcmp(data, "ab", 2));
	EXPECT(ga_stream_read_until(s, "\n", 8, past, &line) == 3 && !memcmp(line, "cd\n", 3));
	EXPECT(ga_stream_read_exactly(s, data, 2, past) == 0 && !memcmp(data, "ef", 2));
	EXPECT(ga_stream_read(s, data, 2, past) == -ETIMEDOUT);
	EXPECT(ga_stream_write(s, "gh", 2, past) == 0);
	EXPECT(ga_stream_read_exactly(s, data, 2, SOON) == 0 && !memcmp(data, "gh", 2));
	ga_stream_close(s);
	return 0;
}

static void what_is_there_is_had_though_the_deadline_has_passed(void **state)
{
	run(state, echo, past_body, (struct ga_serve_options){ 0 });
}

static int read_while_cancelled(const void *arg)
{
	ga_stream *s = (ga_stream *)(uintptr_t)arg;
	char data[4];
	int64_t n;

	ga_cancel(ga_self());
	n = ga_stream_read(s, data, 4, SOON);
	EXPECT(n == 4 && !memcmp(data, "abcd", 4));
	EXPECT(ga_stream_write(s, "efgh", 4, SOON) == 0);
	EXPECT(ga_stream_read_exactly(s, data, 8, SOON) == -ECANCELED); /* it has to wait */
	return 0;
}

static int cancelled_body(struct bench *b)
{
	ga_future *reader;
	ga_stream *s;

	EXPECT(bench_connect(b, &s) == 0);
	EXPECT(send_and_arrive(s, "abcd") == 0);
	reader = ga_spawn(read_while_cancelled, s);
	EXPECT(ga_await(reader) == 0);
	ga_release(reader);
	ga_stream_close(s);
	return 0;
}

static void what_is_there_is_had_by_a_cancelled_task_too(void **state)
{
	run(state, echo, cancelled_body, (struct ga_serve_options){ 0 });
}

/* Counts until the end, and only then answers. */
static int count(ga_stream *s, const void *arg GA_UNUSED)
{
	char data[4096], answer[32];
	int64_t n, total = 0;

	while ((n = ga_stream_read(s, data, sizeof(data), SOON)) > 0)
		total += n;
	if (n < 0)
		return (int)n;
	return ga_stream_write(
		s, answer, (size_t)snprintf(answer, sizeof(answer), "%lld", (long long)total), SOON);
}

static int half_body(struct bench *b)
{
	char data[32] = "";
	ga_stream *s;

	EXPECT(bench_connect(b, &s) == 0);
	EXPECT(ga_stream_write(s, sent, 100000, SOON) == 0);
	EXPECT(ga_stream_shutdown(s) == 0);
	EXPECT(ga_stream_write(s, "more", 4, SOON) == -EPIPE);
	EXPECT(ga_stream_read_exactly(s, data, 6, SOON) == 0 && strcmp(data, "100000") == 0);
	EXPECT(ga_stream_read(s, data, 1, SOON) == 0);
	EXPECT(ga_stream_read(s, data, 1, SOON) == 0); /* the end stays the end */
	ga_stream_close(s);
	return 0;
}

static void after_shutdown_the_other_direction_works_on(void **state)
{
	run(state, count, half_body, (struct ga_serve_options){ 0 });
}

static int count_late(ga_stream *s, const void *arg)
{
	while (!may_read)
		EXPECT(ga_sleep(GA_MILLISECONDS(1)) == 0);
	return count(s, arg);
}

static int begun_body(struct bench *b)
{
	char data[32] = "";
	ga_stream *s;

	may_read = false;
	EXPECT(bench_connect(b, &s) == 0);
	EXPECT(ga_stream_write(s, sent, MUCH, ga_now() + GA_MILLISECONDS(50)) == -ETIMEDOUT);
	may_read = true;
	EXPECT(ga_sleep(GA_MILLISECONDS(20)) == 0); /* what is under way goes on without a call */
	EXPECT(ga_stream_shutdown(s) == 0);
	EXPECT(ga_stream_read(s, data, sizeof(data) - 1, SOON) > 0);
	EXPECT(atol(data) > 0 && (size_t)atol(data) < MUCH);
	ga_stream_close(s);
	return 0;
}

static void a_write_that_timed_out_has_sent_a_beginning_and_the_stream_still_ends_well(void **state)
{
	run(state, count_late, begun_body, (struct ga_serve_options){ 0 });
}

static int leaves(ga_stream *s, const void *arg GA_UNUSED)
{
	return ga_stream_write(s, "bye", 3, SOON);
}

static int gone_body(struct bench *b)
{
	char data[4];
	ga_stream *s;
	int r = 0;

	EXPECT(bench_connect(b, &s) == 0);
	EXPECT(ga_stream_read_exactly(s, data, 3, SOON) == 0 && !memcmp(data, "bye", 3));
	EXPECT(ga_stream_read(s, data, 1, SOON) == 0);
	for (int i = 0; i < 1000 && r == 0; i++) { /* until the kernel has heard of it */
		r = ga_stream_write(s, sent, 1000, SOON);
		EXPECT(ga_sleep(GA_MILLISECONDS(1)) == 0);
	}
	EXPECT(r == -EPIPE || r == -ECONNRESET); /* and no SIGPIPE */
	ga_stream_close(s);
	return 0;
}

static void a_write_to_a_peer_that_has_gone_is_an_error_and_no_signal(void **state)
{
	run(state, leaves, gone_body, (struct ga_serve_options){ 0 });
}

static int writers_body(struct bench *b)
{
	ga_future *writer;
	ga_stream *s;

	EXPECT(bench_connect(b, &s) == 0);
	writer = ga_spawn(write_much, s);
	EXPECT(ga_sleep(GA_MILLISECONDS(20)) == 0);
	EXPECT(ga_stream_write(s, "x", 1, SOON) == -EBUSY);
	EXPECT(ga_cancel(writer));
	EXPECT(ga_await(writer) == -ECANCELED);
	ga_release(writer);
	ga_stream_close(s);
	return 0;
}

static void a_second_writer_is_refused_and_a_cancelled_one_ends(void **state)
{
	run(state, never_reads, writers_body, (struct ga_serve_options){ 0 });
}

/* Sizes around those of records and buffers, and those without a pattern. */
static const size_t sizes[] = { 1,     0,     2,     4095,  4096,  4097,   16383,  16384, 16385,
				32768, 65535, 65536, 65537, 81920, 131071, 300000, 7 };

static int write_sizes(const void *arg)
{
	ga_stream *s = (ga_stream *)(uintptr_t)arg;
	size_t at = 0;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t half = sizes[i] / 3;

		EXPECT(ga_stream_write_two(s, sent + at, half, sent + at + half, sizes[i] - half,
					   SOON) == 0);
		at += sizes[i];
	}
	return 0;
}

static int sizes_body(struct bench *b)
{
	size_t total = 0, at = 0;
	ga_future *writer;
	ga_stream *s;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		total += sizes[i];
	EXPECT(bench_connect(b, &s) == 0);
	writer = ga_spawn(write_sizes, s);
	for (size_t size = 1; at < total; size = size * 7 % 50021) {
		int64_t n = ga_stream_read(s, received + at, size < total - at ? size : total - at,
					   SOON);

		EXPECT(n > 0);
		at += (size_t)n;
	}
	EXPECT(ga_await(writer) == 0);
	EXPECT(memcmp(received, sent, total) == 0);
	ga_release(writer);
	ga_stream_close(s);
	return 0;
}

static void bytes_of_any_sizes_arrive_in_their_order(void **state)
{
	run(state, echo, sizes_body, (struct ga_serve_options){ 0 });
}

static int tick(const void *arg)
{
	int *ticks = (int *)(uintptr_t)arg;

	while (ga_sleep(0) == 0)
		++*ticks;
	return 0;
}

static int pace_body(struct bench *b)
{
	ga_future *ticking, *writer;
	int ticks = 0;
	ga_stream *s;

	EXPECT(bench_connect(b, &s) == 0);
	ticking = ga_spawn(tick, &ticks);
	writer = ga_spawn(write_much, s);
	EXPECT(ga_stream_read_exactly(s, received, MUCH, SOON) == 0);
	EXPECT(ticks > 5);
	ga_cancel(ticking);
	EXPECT(ga_await(ticking) == 0);
	EXPECT(ga_await(writer) == 0);
	ga_release(writer);
	ga_release(ticking);
	ga_stream_close(s);
	return 0;
}

static void a_busy_stream_lets_others_run(void **state)
{
	run(state, echo, pace_body, (struct ga_serve_options){ 0 });
}

static int small_body(struct bench *b)
{
	const struct ga_spawn_options small = { .stack_bytes = 16384 };
	ga_future *task = ga_spawn_with(ping, b, &small);
	int r = ga_await(task);

	ga_release(task);
	return r;
}

static void the_smallest_stacks_suffice(void **state)
{
	run(state, echo, small_body, (struct ga_serve_options){ .stack_bytes = 16384 });
}

static int rig_open(void **state)
{
	for (size_t i = 0; i < MUCH; i++)
		sent[i] = (char)(i * 31 >> 3);
	return tls_rig_open(state);
}

struct case_of_all {
	const char *name;
	CMUnitTestFunction fn;
};

#define CASE_OF_ALL(fn)                                                                            \
	{                                                                                          \
#fn, fn                                                                            \
	}

int main(void)
{
	static const struct case_of_all cases[] = {
		CASE_OF_ALL(what_is_written_is_read_by_lines_and_bytes),
		CASE_OF_ALL(bytes_of_any_sizes_arrive_in_their_order),
		CASE_OF_ALL(a_stream_reads_and_writes_at_once_beyond_the_kernels_buffers),
		CASE_OF_ALL(a_writer_waits_for_a_reader_that_begins_late),
		CASE_OF_ALL(a_deadline_ends_a_read_and_the_stream_works_on),
		CASE_OF_ALL(a_deadline_ends_a_write_to_a_peer_that_never_reads),
		CASE_OF_ALL(what_is_there_is_had_though_the_deadline_has_passed),
		CASE_OF_ALL(what_is_there_is_had_by_a_cancelled_task_too),
		CASE_OF_ALL(cancelling_a_reader_leaves_the_stream_whole),
		CASE_OF_ALL(a_second_writer_is_refused_and_a_cancelled_one_ends),
		CASE_OF_ALL(after_shutdown_the_other_direction_works_on),
		CASE_OF_ALL(a_write_that_timed_out_has_sent_a_beginning_and_the_stream_still_ends_well),
		CASE_OF_ALL(a_write_to_a_peer_that_has_gone_is_an_error_and_no_signal),
		CASE_OF_ALL(a_busy_stream_lets_others_run),
		CASE_OF_ALL(the_smallest_stacks_suffice),
		CASE_OF_ALL(two_hundred_connections_are_served_at_once),
		CASE_OF_ALL(no_more_than_max_streams_are_served_at_once),
		CASE_OF_ALL(cancelling_a_server_cancels_and_joins_its_handlers),
	};
	enum { CASES = sizeof(cases) / sizeof(cases[0]) };
	static const char *const over[] = { "over TCP: ", "over a Unix socket: ", "over TLS: " };
	static enum transport transports[] = { OVER_TCP, OVER_UNIX, OVER_TLS };
	static char names[TRANSPORTS][CASES][128];
	struct CMUnitTest tests[TRANSPORTS * CASES] = { 0 };

	for (size_t i = 0; i < TRANSPORTS * CASES; i++) {
		const struct case_of_all *c = &cases[i % CASES];

		snprintf(names[i / CASES][i % CASES], sizeof(names[0][0]), "%s%s", over[i / CASES],
			 c->name);
		tests[i] = (struct CMUnitTest){ .name = names[i / CASES][i % CASES],
						.test_func = c->fn,
						.initial_state = &transports[i / CASES] };
	}
	return TAP_RUN_WITH(tests, rig_open, tls_rig_close);
}
