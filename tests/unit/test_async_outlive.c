/* Handles that are released after their loop has ended. */
#include "async_check.h"
#include "tap_main.h"
#include <gather/group.h>
#include <gather/stream.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

static ga_future *left;
static ga_stream *stream;
static ga_server *server;
static int fds[2];

/* The loop's memory is given to another one meanwhile, whose parts must not be taken for those of the first. */
static int pass_by(const void *unused GA_UNUSED)
{
	ga_future *other = ga_sleep_future(GA_MILLISECONDS(1));
	int r;

	if (left)
		EXPECT(!ga_done(left) || ga_result(left, NULL) == -ECANCELED);
	ga_release(left);
	left = NULL;
	ga_stream_close(stream);
	stream = NULL;
	ga_server_close(server);
	server = NULL;
	r = ga_await(other);
	ga_release(other);
	return r;
}

static int leave_a_sleep(const void *unused GA_UNUSED)
{
	left = ga_sleep_future(GA_SECONDS(1000));
	return left ? 0 : -ENOMEM;
}

static int leave_a_descriptor(const void *unused GA_UNUSED)
{
	left = ga_ready_future(fds[0], false);
	return left ? 0 : -ENOMEM;
}

static int leave_a_signal(const void *unused GA_UNUSED)
{
	left = ga_signal_future(SIGUSR1);
	return left ? 0 : -ENOMEM;
}

static int leave_a_stream(const void *unused GA_UNUSED)
{
	return ga_stream_new(dup(fds[0]), &stream);
}

static int leave_a_stream_that_was_read(const void *unused GA_UNUSED)
{
	char byte;
	int r = ga_stream_new(dup(fds[0]), &stream);

	if (r < 0)
		return r;
	EXPECT(ga_stream_read(stream, &byte, 1, ga_now() + GA_MILLISECONDS(1)) == -ETIMEDOUT);
	return 0;
}

static int leave_a_server(const void *unused GA_UNUSED)
{
	return ga_listen_tcp(NULL, 0, &server);
}

static void check(ga_coroutine_fn leave)
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(ga_run(leave, NULL), 0);
	if (left)
		assert_false(ga_cancel(left) && !ga_done(left));
	assert_int_equal(pass_by(NULL), -ENOMEM); /* there is no loop */
	assert_int_equal(ga_run(leave, NULL), 0);
	assert_int_equal(ga_run(pass_by, NULL), 0);
	close(fds[0]);
	close(fds[1]);
}

#define OUTLIVES(name)                                                                             \
	static void name##_may_be_released_after_its_loop(void **state GA_UNUSED)                  \
	{                                                                                          \
		check(leave_##name);                                                               \
	}
OUTLIVES(a_sleep)
OUTLIVES(a_descriptor)
OUTLIVES(a_signal)
OUTLIVES(a_stream)
OUTLIVES(a_stream_that_was_read)
OUTLIVES(a_server)

static int take_nothing(const void *unused GA_UNUSED)
{
	return 0;
}

static void a_signal_future_ends_with_its_loop(void **state GA_UNUSED)
{
	assert_int_equal(ga_run(leave_a_signal, NULL), 0);
	assert_int_equal(ga_result(left, NULL), -ECANCELED);
	ga_release(left);
	left = NULL;
	assert_int_equal(ga_run(take_nothing, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sleep_may_be_released_after_its_loop),
		cmocka_unit_test(a_descriptor_may_be_released_after_its_loop),
		cmocka_unit_test(a_signal_may_be_released_after_its_loop),
		cmocka_unit_test(a_signal_future_ends_with_its_loop),
		cmocka_unit_test(a_stream_may_be_released_after_its_loop),
		cmocka_unit_test(a_stream_that_was_read_may_be_released_after_its_loop),
		cmocka_unit_test(a_server_may_be_released_after_its_loop),
	};

	return TAP_RUN(tests);
}
