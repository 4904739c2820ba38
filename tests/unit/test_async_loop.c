/* The event loop: timers, calls, hooks, descriptors. */
#include "async_check.h"
#include "tap_main.h"
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct virtual_clock clock_now;

static int virtual_loop(void **state)
{
	const struct loop_options options = { .clock = virtual_now,
					      .idle = virtual_idle,
					      .clock_arg = &clock_now };
	struct loop *l;

	clock_now.now = 1000;
	if (loop_new(&options, &l) < 0)
		return -1;
	*state = l;
	return 0;
}

static int real_loop(void **state)
{
	struct loop *l;

	if (loop_new(NULL, &l) < 0)
		return -1;
	*state = l;
	return 0;
}

static int end_loop(void **state)
{
	loop_free(*state);
	return 0;
}

/* What happened, in order. */
static char seen[256];

static void note(char c)
{
	size_t n = strlen(seen);

	seen[n] = c;
	seen[n + 1] = '\0';
}

static int clear_seen(void **state)
{
	seen[0] = '\0';
	return virtual_loop(state);
}

static void note_timer(struct loop_timer *t)
{
	note(*(const char *)t->arg);
}

static void note_call(struct loop_call *c)
{
	note(*(const char *)c->arg);
}

static char a[] = "a", b[] = "b", c[] = "c";

static void the_loop_is_this_threads(void **state)
{
	assert_ptr_equal(loop_current(), *state);
}

static void a_loop_with_nothing_to_wait_for_ends(void **state)
{
	assert_int_equal(loop_run(*state), 0);
}

static void timers_fire_by_due_time_then_in_order_of_setting(void **state)
{
	struct loop *l = *state;
	struct loop_timer first, second, third;

	loop_timer_init(&first, note_timer, a);
	loop_timer_init(&second, note_timer, b);
	loop_timer_init(&third, note_timer, c);
	assert_int_equal(loop_timer_set(l, &third, 9000), 0);
	assert_int_equal(loop_timer_set(l, &first, 5000), 0);
	assert_int_equal(loop_timer_set(l, &second, 5000), 0);
	assert_int_equal(loop_run(l), 0);
	assert_string_equal(seen, "abc");
	assert_int_equal(loop_now(l), 9000);
}

static void a_stopped_timer_does_not_fire_and_a_moved_one_fires_once(void **state)
{
	struct loop *l = *state;
	struct loop_timer stopped, moved, never;

	loop_timer_init(&stopped, note_timer, a);
	loop_timer_init(&moved, note_timer, b);
	loop_timer_init(&never, note_timer, c);
	assert_int_equal(loop_timer_set(l, &stopped, 2000), 0);
	assert_int_equal(loop_timer_set(l, &moved, 2000), 0);
	assert_int_equal(loop_timer_set(l, &moved, 7000), 0);
	assert_int_equal(loop_timer_set(l, &never, INT64_MAX), 0);
	loop_timer_stop(l, &stopped);
	loop_timer_stop(l, &stopped);
	assert_int_equal(loop_run(l), 0);
	assert_string_equal(seen, "b");
	assert_int_equal(loop_now(l), 7000);
}

static unsigned rounds;

static void set_again(struct loop_timer *t)
{
	if (++rounds < 1000)
		(void)!loop_timer_set(t->arg, t, 0); /* due at once */
}

static unsigned seen_at_round;

static void note_round(struct loop_call *call)
{
	note_call(call);
	seen_at_round = rounds;
}

static void a_timer_that_is_always_due_lets_calls_run(void **state)
{
	struct loop *l = *state;
	struct loop_timer t;
	struct loop_call call;

	rounds = 0;
	loop_timer_init(&t, set_again, l);
	loop_call_init(&call, note_round, a);
	assert_int_equal(loop_timer_set(l, &t, 0), 0);
	loop_call_soon(l, &call);
	assert_int_equal(loop_run(l), 0);
	assert_string_equal(seen, "a");
	assert_int_equal(seen_at_round, 1);
	assert_int_equal(rounds, 1000);
}

static void note_timer_round(struct loop_timer *t)
{
	note_timer(t);
	seen_at_round = rounds;
}

static struct loop_timer due_at_once;

static void queue_itself(struct loop_call *call)
{
	if (++rounds == 1)
		(void)!loop_timer_set(loop_current(), &due_at_once, 0);
	if (rounds < 10000)
		loop_call_soon(loop_current(), call);
}

static void a_call_that_queues_itself_lets_timers_run(void **state)
{
	struct loop *l = *state;
	struct loop_call call;

	rounds = 0;
	loop_timer_init(&due_at_once, note_timer_round, a);
	loop_call_init(&call, queue_itself, NULL);
	loop_call_soon(l, &call);
	loop_call_soon(l, &call); /* queued already: no effect */
	assert_int_equal(loop_run(l), 0);
	assert_string_equal(seen, "a");
	assert_in_range(seen_at_round, 1, 500);
	assert_int_equal(rounds, 10000);
}

static struct loop_call victim;

static void stop_victim(struct loop_call *call)
{
	note(*(const char *)call->arg);
	loop_call_stop(&victim);
}

static void a_call_can_be_stopped_by_another_of_its_turn(void **state)
{
	struct loop *l = *state;
	struct loop_call killer;

	loop_call_init(&killer, stop_victim, a);
	loop_call_init(&victim, note_call, b);
	loop_call_soon(l, &killer);
	loop_call_soon(l, &victim);
	assert_int_equal(loop_run(l), 0);
	assert_string_equal(seen, "a");
}

static void stop_loop(struct loop_call *call GA_UNUSED)
{
	loop_stop(loop_current());
}

static void a_stopped_loop_runs_again(void **state)
{
	struct loop *l = *state;
	struct loop_call stop;
	struct loop_timer later;

	loop_call_init(&stop, stop_loop, NULL);
	loop_timer_init(&later, note_timer, a);
	assert_int_equal(loop_timer_set(l, &later, 5000), 0);
	loop_call_soon(l, &stop);
	assert_int_equal(loop_run(l), 0);
	assert_string_equal(seen, "");
	assert_int_equal(loop_run(l), 0);
	assert_string_equal(seen, "a");
}

static int nested_result;

static void run_nested(struct loop_call *call GA_UNUSED)
{
	nested_result = loop_run(loop_current());
}

static void a_loop_does_not_run_inside_itself(void **state)
{
	struct loop_call call;

	loop_call_init(&call, run_nested, NULL);
	loop_call_soon(*state, &call);
	assert_int_equal(loop_run(*state), 0);
	assert_int_equal(nested_result, -EBUSY);
}

static struct loop_call flush;

static void note_hook(struct loop_hook *h)
{
	note('h');
	if (h->arg) {
		loop_call_soon(loop_current(), &flush);
		h->arg = NULL;
	}
}

static void remove_itself(struct loop_hook *h)
{
	note('r');
	loop_hook_remove(h);
}

static void hooks_run_after_the_calls_and_before_the_loop_ends(void **state)
{
	struct loop *l = *state;
	struct loop_hook hook, gone;
	struct loop_call call;

	loop_call_init(&call, note_call, a);
	loop_call_init(&flush, note_call, b);
	loop_hook_add(l, &gone, remove_itself, NULL);
	loop_hook_add(l, &hook, note_hook, l);
	loop_call_soon(l, &call);
	assert_int_equal(loop_run(l), 0);
	assert_string_equal(seen, "arhbh"); /* what the hook queued was still run */
	loop_hook_remove(&hook);
	loop_hook_remove(&hook);
	assert_int_equal(loop_run(l), 0);
	assert_string_equal(seen, "arhbh");
}

/* ---- descriptors ---- */

static void note_readable(struct io_watch *w, unsigned events)
{
	char byte;

	assert_int_equal(events, LOOP_READ);
	assert_int_equal(read(w->fd, &byte, 1), 1);
	note(byte);
	io_watch_stop(w);
	io_watch_stop(w);
}

static void a_readable_descriptor_calls(void **state)
{
	struct io_watch w;
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(io_watch_start(*state, &w, fds[0], LOOP_READ, note_readable, NULL), 0);
	assert_int_equal(write(fds[1], "x", 1), 1);
	assert_int_equal(loop_run(*state), 0); /* ends: the watch is stopped */
	assert_string_equal(seen, "x");
	close(fds[0]);
	close(fds[1]);
}

static void write_then_read(struct io_watch *w, unsigned events)
{
	char byte;

	if (events & LOOP_WRITE) {
		note('w');
		assert_int_equal(write(*(int *)w->arg, "y", 1), 1);
		assert_int_equal(io_watch_change(w, LOOP_READ), 0);
		return;
	}
	assert_int_equal(read(w->fd, &byte, 1), 1);
	note(byte);
	assert_int_equal(io_watch_change(w, 0), 0);
}

static void a_watch_changes_what_it_waits_for(void **state)
{
	struct io_watch w;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_int_equal(io_watch_start(*state, &w, fds[0], 0, write_then_read, &fds[1]), 0);
	assert_int_equal(loop_run(*state), 0); /* waits for neither, so nothing is left */
	assert_int_equal(io_watch_change(&w, LOOP_READ | LOOP_WRITE), 0);
	assert_int_equal(loop_run(*state), 0);
	assert_string_equal(seen, "wy");
	io_watch_stop(&w);
	assert_int_equal(io_watch_change(&w, LOOP_READ), -EINVAL);
	close(fds[0]);
	close(fds[1]);
}

struct twin {
	struct io_watch watch;
	struct twin *other;
};

static void stop_both(struct io_watch *w, unsigned events GA_UNUSED)
{
	struct twin *t = w->arg;

	note('t');
	io_watch_stop(&t->other->watch);
	io_watch_stop(w);
}

static void a_callback_may_stop_another_watch_that_is_ready_too(void **state)
{
	struct twin t[2];
	int fds[2][2];

	for (int i = 0; i < 2; i++) {
		assert_int_equal(pipe(fds[i]), 0);
		assert_int_equal(write(fds[i][1], "x", 1), 1);
		t[i].other = &t[!i];
		assert_int_equal(
			io_watch_start(*state, &t[i].watch, fds[i][0], LOOP_READ, stop_both, &t[i]), 0);
	}
	assert_int_equal(loop_run(*state), 0);
	assert_string_equal(seen, "t");
	for (int i = 0; i < 4; i++)
		close(fds[i / 2][i % 2]);
}

struct reuse {
	struct io_watch watch;
	int writer, left;
};

/* The descriptor's number comes back at once, and the changes of both lives meet in one poll. */
static void close_and_reuse(struct io_watch *w, unsigned events GA_UNUSED)
{
	struct reuse *r = w->arg;
	int fds[2], fd = w->fd;

	note('r');
	io_watch_stop(w);
	close(fd);
	close(r->writer);
	if (--r->left == 0)
		return;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(fds[0], fd);
	r->writer = fds[1];
	assert_int_equal(write(fds[1], "x", 1), 1);
	assert_int_equal(io_watch_start(loop_current(), w, fd, LOOP_READ, close_and_reuse, r), 0);
}

static void a_descriptor_closed_and_opened_again_within_a_turn_is_watched(void **state)
{
	struct reuse r = { .left = 5 };
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	r.writer = fds[1];
	assert_int_equal(write(fds[1], "x", 1), 1);
	assert_int_equal(io_watch_start(*state, &r.watch, fds[0], LOOP_READ, close_and_reuse, &r), 0);
	assert_int_equal(loop_run(*state), 0);
	assert_string_equal(seen, "rrrrr");
}

/* ---- real time and threads ---- */

static int64_t fired_at;

static void note_time(struct loop_timer *t GA_UNUSED)
{
	fired_at = loop_clock(loop_current());
}

static void a_real_timer_never_fires_early_and_the_next_is_armed_too(void **state)
{
	struct loop *l = *state;
	struct loop_timer near, far, earlier;
	int64_t due = loop_clock(l) + GA_MILLISECONDS(3);

	loop_timer_init(&near, note_time, NULL);
	loop_timer_init(&far, note_time, NULL);
	loop_timer_init(&earlier, note_time, NULL);
	assert_int_equal(loop_timer_set(l, &far, due + GA_MILLISECONDS(4)), 0);
	assert_int_equal(loop_timer_set(l, &earlier, due - GA_MILLISECONDS(2)), 0);
	assert_int_equal(loop_timer_set(l, &near, due), 0);
	loop_timer_stop(l, &earlier); /* the timerfd may fire for it, in vain */
	loop_timer_stop(l, &far);
	assert_int_equal(loop_run(l), 0);
	assert_true(fired_at >= due);
	assert_int_equal(loop_timer_set(l, &far, due + GA_MILLISECONDS(4)), 0);
	assert_int_equal(loop_run(l), 0);
	assert_true(fired_at >= due + GA_MILLISECONDS(4));
}

static struct loop_timer soon, late;

static void note_time_and_stop_late(struct loop_timer *t)
{
	note_time(t);
	loop_timer_stop(loop_current(), &late);
}

/* By now the loop has armed its timerfd for the late one. */
static void set_soon(struct io_watch *w, unsigned events GA_UNUSED)
{
	io_watch_stop(w);
	(void)!loop_timer_set(loop_current(), &soon, loop_clock(loop_current()) + GA_MILLISECONDS(1));
}

static void a_timer_set_before_the_armed_one_fires_in_its_own_time(void **state)
{
	struct loop *l = *state;
	struct io_watch w;
	int64_t far = loop_clock(l) + GA_SECONDS(2);
	int fds[2];

	loop_timer_init(&soon, note_time_and_stop_late, NULL);
	loop_timer_init(&late, note_time, NULL);
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], "x", 1), 1);
	assert_int_equal(loop_timer_set(l, &late, far), 0);
	assert_int_equal(io_watch_start(l, &w, fds[0], LOOP_READ, set_soon, NULL), 0);
	assert_int_equal(loop_run(l), 0);
	assert_true(fired_at < far);
	close(fds[0]);
	close(fds[1]);
}

static void set_long_past(struct loop_hook *h)
{
	if (!h->arg)
		return;
	(void)!loop_timer_set(loop_current(), h->arg, 0);
	h->arg = NULL;
}

static void a_timer_set_for_long_ago_just_before_the_poll_fires(void **state)
{
	struct loop_hook hook;

	fired_at = 0;
	loop_timer_init(&soon, note_time, NULL);
	loop_hook_add(*state, &hook, set_long_past, &soon);
	assert_int_equal(loop_run(*state), 0);
	assert_true(fired_at > 0);
	loop_hook_remove(&hook);
}

#define THREADS 4
#define CALLS 500

struct foreign {
	struct loop_call call;
	struct loop *loop;
	unsigned *left;
};

static void count_foreign(struct loop_call *call)
{
	struct foreign *f = call->arg;

	if (--*f->left == 0)
		loop_hold(f->loop, -1);
}

static void *call_often(void *arg)
{
	struct foreign *f = arg;

	for (int i = 0; i < CALLS; i++)
		loop_call_from_thread(f[i].loop, &f[i].call);
	return NULL;
}

static void calls_from_threads_all_arrive(void **state)
{
	static struct foreign f[THREADS][CALLS];
	unsigned left = THREADS * CALLS;
	pthread_t threads[THREADS];

	loop_hold(*state, 1);
	for (int i = 0; i < THREADS; i++) {
		for (int k = 0; k < CALLS; k++) {
			f[i][k].loop = *state;
			f[i][k].left = &left;
			loop_call_init(&f[i][k].call, count_foreign, &f[i][k]);
		}
		assert_int_equal(pthread_create(&threads[i], NULL, call_often, f[i]), 0);
	}
	assert_int_equal(loop_run(*state), 0);
	assert_int_equal(left, 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

#define VIRTUAL(test) cmocka_unit_test_setup_teardown(test, clear_seen, end_loop)
#define REAL(test) cmocka_unit_test_setup_teardown(test, real_loop, end_loop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		VIRTUAL(the_loop_is_this_threads),
		VIRTUAL(a_loop_with_nothing_to_wait_for_ends),
		VIRTUAL(timers_fire_by_due_time_then_in_order_of_setting),
		VIRTUAL(a_stopped_timer_does_not_fire_and_a_moved_one_fires_once),
		VIRTUAL(a_timer_that_is_always_due_lets_calls_run),
		VIRTUAL(a_call_that_queues_itself_lets_timers_run),
		VIRTUAL(a_call_can_be_stopped_by_another_of_its_turn),
		VIRTUAL(a_stopped_loop_runs_again),
		VIRTUAL(a_loop_does_not_run_inside_itself),
		VIRTUAL(hooks_run_after_the_calls_and_before_the_loop_ends),
		VIRTUAL(a_readable_descriptor_calls),
		VIRTUAL(a_watch_changes_what_it_waits_for),
		VIRTUAL(a_callback_may_stop_another_watch_that_is_ready_too),
		VIRTUAL(a_descriptor_closed_and_opened_again_within_a_turn_is_watched),
		REAL(a_real_timer_never_fires_early_and_the_next_is_armed_too),
		REAL(a_timer_set_before_the_armed_one_fires_in_its_own_time),
		REAL(a_timer_set_for_long_ago_just_before_the_poll_fires),
		REAL(calls_from_threads_all_arrive),
	};

	return TAP_RUN(tests);
}
