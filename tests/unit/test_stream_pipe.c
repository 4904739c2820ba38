/* Streams on pipes: both ends, the end of writing, and a reader that is gone. */
#include "async_check.h"
#include "tap_main.h"
#include <fcntl.h>
#include <gather/stream.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SOON (ga_now() + GA_SECONDS(10))
#define MUCH 1000000u /* more than a pipe holds */

/* As CASE(), in real time: the kernel's readiness doesn't keep to a virtual one. */
#define REAL_CASE(name)                                                                            \
	static int name##_body(const void *arg GA_UNUSED);                                         \
	static void name(void **state GA_UNUSED)                                                   \
	{                                                                                          \
		assert_int_equal(ga_run(name##_body, NULL), 0);                                    \
	}                                                                                          \
	static int name##_body(const void *arg GA_UNUSED)

struct ends {
	ga_stream *reader, *writer;
};

static int open_pipe(struct ends *e)
{
	int fds[2];

	EXPECT(pipe2(fds, O_CLOEXEC) == 0);
	EXPECT(ga_stream_new(fds[0], &e->reader) == 0);
	EXPECT(ga_stream_new(fds[1], &e->writer) == 0);
	return 0;
}

static int write_much(const void *arg)
{
	const struct ends *e = arg;
	char *data = malloc(MUCH);
	int r;

	EXPECT(data);
	for (size_t i = 0; i < MUCH; i++)
		data[i] = (char)(i * 7 >> 3);
	r = ga_stream_write(e->writer, data, MUCH, SOON);
	free(data);
	EXPECT(ga_stream_shutdown(e->writer) == 0);
	return r;
}

REAL_CASE(what_is_written_to_a_pipe_is_read_at_its_other_end)
{
	GA_AUTO ga_future *task = NULL;
	struct ends e;
	size_t got = 0;
	char part[5000];
	int64_t n;

	EXPECT(open_pipe(&e) == 0);
	task = ga_spawn(write_much, &e);
	while ((n = ga_stream_read(e.reader, part, sizeof(part), SOON)) > 0)
		for (int64_t i = 0; i < n; i++, got++)
			EXPECT(part[i] == (char)(got * 7 >> 3));
	EXPECT(n == 0 && got == MUCH);
	EXPECT(ga_await(task) == 0);
	ga_stream_close(e.reader);
	ga_stream_close(e.writer);
	return 0;
}

REAL_CASE(a_pipe_shut_down_reads_its_end_and_takes_no_more)
{
	struct ends e;
	char *line;
	char byte;

	EXPECT(open_pipe(&e) == 0);
	EXPECT(ga_stream_write(e.writer, "last\n", 5, SOON) == 0);
	EXPECT(ga_stream_shutdown(e.reader) == -ENOTSOCK);
	EXPECT(ga_stream_shutdown(e.writer) == 0);
	EXPECT(ga_stream_fd(e.writer) == -1);
	EXPECT(ga_stream_write(e.writer, "more", 4, SOON) == -EPIPE);
	EXPECT(ga_stream_shutdown(e.writer) < 0);
	EXPECT(ga_stream_read_until(e.reader, "\n", 100, SOON, &line) == 5 &&
	       !memcmp(line, "last\n", 5));
	EXPECT(ga_stream_read(e.reader, &byte, 1, SOON) == 0);
	ga_stream_close(e.writer);
	ga_stream_close(e.reader);
	return 0;
}

static int write_for_ever(const void *arg)
{
	const struct ends *e = arg;
	char data[1000] = { 0 };
	int r;

	do
		r = ga_stream_write(e->writer, data, sizeof(data), GA_NEVER);
	while (r == 0);
	return r;
}

REAL_CASE(a_full_pipe_whose_reader_goes_is_epipe_and_no_signal)
{
	GA_AUTO ga_future *task = NULL;
	struct pollfd full = { .events = POLLOUT };
	struct ends e;
	char byte;

	EXPECT(open_pipe(&e) == 0);
	full.fd = ga_stream_fd(e.writer);
	task = ga_spawn(write_for_ever, &e);
	EXPECT(ga_stream_read(e.reader, &byte, 1, SOON) == 1);
	while (poll(&full, 1, 0) == 1)
		EXPECT(one_turn() == 0 && !ga_done(task));
	EXPECT(ga_stream_shutdown(e.writer) == -EBUSY);
	ga_stream_close(e.reader);
	EXPECT(ga_await(task) == -EPIPE); /* SIGPIPE's default would have ended us */
	ga_stream_close(e.writer);
	return 0;
}

REAL_CASE(a_blocked_sigpipe_of_the_programs_own_is_left_waiting)
{
	const struct timespec now = { 0 };
	sigset_t pipe_only, mask;
	struct ends e;

	sigemptyset(&pipe_only);
	sigaddset(&pipe_only, SIGPIPE);
	EXPECT(open_pipe(&e) == 0);
	ga_stream_close(e.reader);
	EXPECT(ga_stream_write(e.writer, "x", 1, SOON) == -EPIPE);
	EXPECT(sigprocmask(SIG_BLOCK, &pipe_only, &mask) == 0 && !sigismember(&mask, SIGPIPE));
	EXPECT(ga_stream_write(e.writer, "x", 1, SOON) == -EPIPE);
	EXPECT(sigtimedwait(&pipe_only, NULL, &now) < 0); /* none was left behind */
	EXPECT(raise(SIGPIPE) == 0);
	EXPECT(ga_stream_write(e.writer, "x", 1, SOON) == -EPIPE);
	EXPECT(sigtimedwait(&pipe_only, NULL, &now) == SIGPIPE);
	EXPECT(sigprocmask(SIG_SETMASK, &mask, NULL) == 0);
	ga_stream_close(e.writer);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_to_a_pipe_is_read_at_its_other_end),
		cmocka_unit_test(a_pipe_shut_down_reads_its_end_and_takes_no_more),
		cmocka_unit_test(a_full_pipe_whose_reader_goes_is_epipe_and_no_signal),
		cmocka_unit_test(a_blocked_sigpipe_of_the_programs_own_is_left_waiting),
	};

	return TAP_RUN(tests);
}
