/* A turn's budget: what never has to wait still lets the others run. */
#include "async_check.h"
#include "park.h"
#include "tap_main.h"
#include <gather/runner.h>
#include <gather/stream.h>
#include <sys/socket.h>
#include <unistd.h>

static int await_done_for_ever(const void *arg)
{
	GA_AUTO ga_future *done = ga_future_new();
	const bool *stop = *(const bool *const *)arg;

	EXPECT(ga_resolve(done, 5, NULL) == 0);
	while (!*stop)
		EXPECT(ga_await(done) == 5);
	return 0;
}

static int spend_for_ever(const void *arg)
{
	const bool *stop = *(const bool *const *)arg;

	while (!*stop)
		EXPECT(coop_spend() == 0);
	return 0;
}

static int stop_it_later(ga_coroutine_fn fn)
{
	bool stop = false, *at = &stop;
	GA_AUTO ga_future *t = ga_spawn(fn, &at);

	EXPECT(ga_sleep(GA_MILLISECONDS(5)) == 0); /* returns although the task never parks */
	EXPECT(!ga_done(t));
	stop = true;
	return ga_await(t);
}

static int stop_awaits(const void *unused GA_UNUSED)
{
	return stop_it_later(await_done_for_ever);
}

static int stop_spends(const void *unused GA_UNUSED)
{
	return stop_it_later(spend_for_ever);
}

static void awaiting_what_is_done_does_not_starve_a_timer(void **state GA_UNUSED)
{
	assert_int_equal(ga_run(stop_awaits, NULL), 0);
}

static void spending_a_budget_does_not_starve_a_timer(void **state GA_UNUSED)
{
	assert_int_equal(ga_run(stop_spends, NULL), 0);
}

static int read_for_ever(const void *arg)
{
	ga_stream *s = *(ga_stream *const *)arg;
	char byte;
	int64_t n;

	while ((n = ga_stream_read(s, &byte, 1, GA_NEVER)) == 1)
		;
	return (int)n;
}

static int write_for_ever(const void *arg)
{
	static const char zeros[65536];
	ga_stream *s = *(ga_stream *const *)arg;
	int r;

	while ((r = ga_stream_write(s, zeros, sizeof(zeros), GA_NEVER)) == 0)
		;
	return r;
}

static int read_what_never_empties(const void *unused GA_UNUSED)
{
	ga_stream *a, *b;
	GA_AUTO ga_future *reader = NULL, *writer = NULL;
	int fds[2];

	EXPECT(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
	EXPECT(ga_stream_new(fds[0], &a) == 0 && ga_stream_new(fds[1], &b) == 0);
	writer = ga_spawn(write_for_ever, &a);
	reader = ga_spawn(read_for_ever, &b);
	for (int i = 0; i < 5; i++)
		EXPECT(ga_sleep(GA_MILLISECONDS(1)) == 0);
	EXPECT(!ga_done(reader) && !ga_done(writer));
	ga_cancel(reader); /* it gets its cancel, although it never waits */
	EXPECT(ga_await(reader) == -ECANCELED);
	ga_cancel(writer);
	EXPECT(ga_await(writer) == -ECANCELED);
	ga_stream_close(a);
	ga_stream_close(b);
	return 0;
}

static void a_stream_that_is_never_empty_does_not_starve_a_timer(void **state GA_UNUSED)
{
	assert_int_equal(ga_run(read_what_never_empties, NULL), 0);
}

static int count_turns(const void *arg)
{
	int *turns = *(int *const *)arg;

	while (ga_sleep(0) == 0)
		++*turns;
	return 0;
}

static int read_what_is_buffered(const void *unused GA_UNUSED)
{
	static const char text[10 * COOP_BUDGET] = "";
	ga_stream *a, *b;
	int fds[2], turns = 0, *at = &turns;
	GA_AUTO ga_future *counter = ga_spawn(count_turns, &at);
	char byte;

	EXPECT(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
	EXPECT(ga_stream_new(fds[0], &a) == 0 && ga_stream_new(fds[1], &b) == 0);
	EXPECT(ga_stream_write(a, text, sizeof(text), GA_NEVER) == 0);
	for (size_t i = 0; i < sizeof(text); i++)
		EXPECT(ga_stream_read_exactly(b, &byte, 1, GA_NEVER) == 0);
	EXPECT(turns >= 9 && turns <= 12);
	ga_cancel(counter);
	EXPECT(ga_await(counter) == 0);
	ga_stream_close(a);
	ga_stream_close(b);
	return 0;
}

static void what_is_read_from_a_buffer_is_paid_for(void **state GA_UNUSED)
{
	assert_int_equal(ga_run(read_what_is_buffered, NULL), 0);
}

static int gather_done_for_ever(const void *arg)
{
	ga_future *done = ga_future_new();
	const bool *stop = *(const bool *const *)arg;

	EXPECT(ga_resolve(done, 5, NULL) == 0);
	while (!*stop) {
		EXPECT(ga_gather(&done, 1, 0) == 0);
		EXPECT(ga_wait(&done, 1, GA_ALL_COMPLETED, GA_NEVER) == 1);
	}
	ga_release(done);
	return 0;
}

static int stop_gathers(const void *unused GA_UNUSED)
{
	return stop_it_later(gather_done_for_ever);
}

static void gathering_what_is_done_does_not_starve_a_timer(void **state GA_UNUSED)
{
	assert_int_equal(ga_run(stop_gathers, NULL), 0);
}

static int spend_until_cancelled(const void *unused GA_UNUSED)
{
	int r, spent = 0;

	EXPECT(ga_cancel(ga_self()));
	while ((r = coop_spend()) == 0)
		spent++;
	EXPECT(r == -ECANCELED);
	return spent;
}

CASE(what_yields_for_its_budget_can_be_cancelled_there)
{
	GA_AUTO ga_future *t = ga_spawn(spend_until_cancelled, NULL);

	EXPECT(ga_await(t) == COOP_BUDGET - 1);
	return 0;
}

static int await_done_while_cancelled(const void *arg)
{
	ga_future *done = *(ga_future *const *)arg;

	EXPECT(ga_cancel(ga_self()));
	for (int i = 0; i < 3 * COOP_BUDGET; i++)
		EXPECT(ga_await(done) == 5);
	return ga_sleep(0);
}

CASE(what_is_done_gives_its_result_to_a_cancelled_task_too)
{
	ga_future *done = ga_future_new();
	GA_AUTO ga_future *t = ga_spawn(await_done_while_cancelled, &done);

	EXPECT(ga_resolve(done, 5, NULL) == 0);
	EXPECT(ga_await(t) == -ECANCELED);
	ga_release(done);
	return 0;
}

static int end_at_once(const void *unused GA_UNUSED)
{
	return 1;
}

static int spawn_eagerly_for_ever(const void *arg)
{
	const struct ga_spawn_options eager = { .eager = true };
	const bool *stop = *(const bool *const *)arg;

	while (!*stop) {
		GA_AUTO ga_future *t = ga_spawn_with(end_at_once, NULL, &eager);

		EXPECT(ga_await(t) == 1);
	}
	return 0;
}

static int stop_eager_spawns(const void *unused GA_UNUSED)
{
	return stop_it_later(spawn_eagerly_for_ever);
}

static void an_eager_task_brings_its_spawner_no_new_budget(void **state GA_UNUSED)
{
	assert_int_equal(ga_run(stop_eager_spawns, NULL), 0);
}

static void outside_of_tasks_nothing_is_spent(void **state GA_UNUSED)
{
	for (int i = 0; i < 2 * COOP_BUDGET; i++)
		assert_int_equal(coop_spend(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(awaiting_what_is_done_does_not_starve_a_timer),
		cmocka_unit_test(spending_a_budget_does_not_starve_a_timer),
		cmocka_unit_test(a_stream_that_is_never_empty_does_not_starve_a_timer),
		cmocka_unit_test(what_is_read_from_a_buffer_is_paid_for),
		cmocka_unit_test(gathering_what_is_done_does_not_starve_a_timer),
		cmocka_unit_test(what_yields_for_its_budget_can_be_cancelled_there),
		cmocka_unit_test(what_is_done_gives_its_result_to_a_cancelled_task_too),
		cmocka_unit_test(an_eager_task_brings_its_spawner_no_new_budget),
		cmocka_unit_test(outside_of_tasks_nothing_is_spent),
	};

	return TAP_RUN(tests);
}
