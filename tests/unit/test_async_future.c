/* Futures: resolving, handles, calls when done, descriptors, executor, signals. */
#include "async_check.h"
#include "executor.h"
#include "future.h"
#include "tap_main.h"
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

static int await_it(const void *arg)
{
	return ga_await(*(ga_future *const *)arg);
}

CASE(a_future_resolves_once_with_a_value)
{
	GA_AUTO ga_future *f = ga_future_new();
	GA_AUTO ga_future *t = ga_spawn(await_it, &f);
	void *value = NULL;

	EXPECT(one_turn() == 0);
	EXPECT(!ga_done(f));
	EXPECT(ga_resolve(f, 5, &value) == 0);
	EXPECT(ga_resolve(f, 6, NULL) == -EALREADY);
	EXPECT(ga_result(f, &value) == 5 && value == &value);
	EXPECT(ga_await(t) == 5);
	EXPECT(!ga_cancel(f));
	return 0;
}

CASE(only_a_plain_future_is_resolved_by_hand)
{
	GA_AUTO ga_future *sleep = ga_sleep_future(1);

	EXPECT(ga_resolve(sleep, 0, NULL) == -EINVAL);
	EXPECT(ga_resolve(ga_self(), 0, NULL) == -EINVAL);
	EXPECT(ga_resolve(NULL, 0, NULL) == -EINVAL);
	return 0;
}

CASE(all_who_wait_are_told)
{
	ga_future *f = ga_future_new();
	ga_future *t[] = { ga_spawn(await_it, &f), ga_spawn(await_it, &f), ga_spawn(await_it, &f) };

	EXPECT(one_turn() == 0);
	EXPECT(ga_resolve(f, 3, NULL) == 0);
	EXPECT(ga_gather(t, 3, 0) == 0);
	EXPECT(ga_result(t[0], NULL) == 3 && ga_result(t[2], NULL) == 3);
	ga_release_all(t, 3);
	ga_release(f);
	return 0;
}

CASE(a_handle_may_go_while_others_wait)
{
	ga_future *f = ga_sleep_future(GA_SECONDS(1)), *mine = f;
	GA_AUTO ga_future *t = ga_spawn(await_it, &f);

	EXPECT(one_turn() == 0);
	ga_releasep(&mine);
	EXPECT(mine == NULL);
	EXPECT(ga_await(t) == 0);
	return 0;
}

static int told;

static void drop_handle(struct future_waiter *w GA_UNUSED, struct ga_future *f)
{
	told++;
	ga_release(f);
}

static void count_told(struct future_waiter *w GA_UNUSED, struct ga_future *f)
{
	told += f->result;
}

CASE(a_waiter_may_drop_the_last_handle)
{
	ga_future *f = ga_sleep_future(GA_SECONDS(1));
	struct future_waiter first, second;

	told = 0;
	future_wait(f, &first, drop_handle);
	future_wait(f, &second, count_told);
	EXPECT(ga_sleep(GA_SECONDS(2)) == 0);
	EXPECT(told == 1);
	return 0;
}

CASE(a_released_sleep_is_forgotten)
{
	int64_t before = ga_now();

	ga_release(ga_sleep_future(GA_SECONDS(100)));
	EXPECT(ga_sleep(GA_SECONDS(1)) == 0);
	EXPECT(ga_now() - before == GA_SECONDS(1));
	return 0;
}

CASE(retain_keeps_a_result)
{
	ga_future *f = ga_sleep_future(0);

	EXPECT(ga_retain(f) == f);
	EXPECT(ga_retain(NULL) == NULL);
	ga_release(f);
	EXPECT(ga_await(f) == 0);
	ga_release(f);
	return 0;
}

static void count_done(ga_future *f, void *arg)
{
	*(int *)arg += 1 + ga_result(f, NULL);
}

CASE(on_done_calls_soon_and_never_from_inside)
{
	int calls = 0;
	ga_future *f = ga_future_new();

	EXPECT(ga_on_done(f, count_done, &calls) == 0);
	EXPECT(ga_resolve(f, 0, NULL) == 0);
	EXPECT(calls == 0);
	EXPECT(one_turn() == 0);
	EXPECT(calls == 1);
	EXPECT(ga_on_done(f, count_done, &calls) == 0); /* resolved already */
	EXPECT(calls == 1);
	ga_release(f); /* the call keeps it */
	EXPECT(one_turn() == 0);
	EXPECT(calls == 2);
	EXPECT(ga_on_done(NULL, count_done, &calls) == -EINVAL);
	return 0;
}

static struct {
	ga_future *task;
	int done_with;
} job;

static void on_job_done(ga_future *f, void *arg)
{
	job.done_with = ga_result(f, NULL);
	loop_stop(arg);
}

static int nap_then_nine(const void *unused GA_UNUSED)
{
	int r = ga_sleep(GA_MILLISECONDS(1));

	return r < 0 ? r : 9;
}

static void start_job(struct loop_call *c)
{
	job.task = ga_spawn(nap_then_nine, NULL);
	if (!job.task || ga_on_done(job.task, on_job_done, c->arg) < 0)
		loop_stop(c->arg);
}

static void a_callback_of_a_bare_loop_spawns_and_is_told(void **state GA_UNUSED)
{
	struct loop *l;
	struct loop_call start;

	assert_int_equal(loop_new(NULL, &l), 0);
	loop_call_init(&start, start_job, l);
	loop_call_soon(l, &start);
	assert_int_equal(loop_run(l), 0);
	assert_int_equal(job.done_with, 9);
	ga_release(job.task);
	assert_int_equal(ga_sleep(1), -EPERM); /* not a task */
	loop_free(l);
}

CASE(a_descriptor_is_awaited)
{
	int fds[2];
	GA_AUTO ga_future *readable = NULL, *writable = NULL;

	EXPECT(pipe(fds) == 0);
	readable = ga_ready_future(fds[0], false);
	writable = ga_ready_future(fds[1], true);
	EXPECT(ga_await(writable) == 0);
	EXPECT(!ga_done(readable));
	EXPECT(write(fds[1], "x", 1) == 1);
	EXPECT(ga_await(readable) == 0);
	close(fds[0]);
	close(fds[1]);
	return 0;
}

CASE(waiting_for_a_descriptor_can_be_cancelled_and_forgotten)
{
	int fds[2];
	GA_AUTO ga_future *cancelled = NULL;

	EXPECT(pipe(fds) == 0);
	cancelled = ga_ready_future(fds[0], false);
	EXPECT(ga_cancel(cancelled));
	EXPECT(ga_await(cancelled) == -ECANCELED);
	ga_release(ga_ready_future(fds[0], false));
	close(fds[0]);
	close(fds[1]);
	return one_turn();
}

CASE(a_file_is_always_ready_and_a_closed_descriptor_is_an_error)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	GA_AUTO ga_future *file = ga_ready_future(fd, false);
	GA_AUTO ga_future *closed = ga_ready_future(-1, false);

	EXPECT(ga_await(file) == 0);
	EXPECT(ga_await(closed) == -EBADF);
	close(fd);
	return 0;
}

/* ---- executor ---- */

static int add_one(void *arg)
{
	return ++*(int *)arg;
}

static int where(void *arg)
{
	*(pthread_t *)arg = pthread_self();
	return 0;
}

static int use_executor(const void *unused GA_UNUSED)
{
	int a = 1, b = 10;
	pthread_t thread;
	ga_future *f[] = { ga_executor(GA_POOL_IO, add_one, &a), ga_executor(GA_POOL_CPU, add_one, &b),
			   ga_executor(GA_POOL_CPU, where, &thread) };

	EXPECT(ga_gather(f, 3, 0) == 0);
	EXPECT(ga_result(f[0], NULL) == 2 && ga_result(f[1], NULL) == 11);
	EXPECT(!pthread_equal(thread, pthread_self()));
	EXPECT(ga_executor((enum ga_pool)5, add_one, &a) == NULL);
	ga_release_all(f, 3);
	return 0;
}

static void executor_calls_run_on_threads_and_resolve(void **state GA_UNUSED)
{
	assert_int_equal(ga_run(use_executor, NULL), 0);
}

static int many_calls(const void *unused GA_UNUSED)
{
	int n[200] = { 0 };
	ga_future *f[200];

	for (int i = 0; i < 200; i++)
		f[i] = ga_executor(i % 2 ? GA_POOL_IO : GA_POOL_CPU, add_one, &n[i]);
	EXPECT(ga_gather(f, 200, 0) == 0);
	for (int i = 0; i < 200; i++)
		EXPECT(n[i] == 1);
	ga_release_all(f, 200);
	return 0;
}

static void many_executor_calls_all_resolve(void **state GA_UNUSED)
{
	assert_int_equal(ga_run(many_calls, NULL), 0);
}

struct gate {
	int fds[2];
	atomic_int entered, left;
	int after;
};

static int pass_gate(void *arg)
{
	struct gate *g = arg;
	char byte;
	ssize_t n;

	atomic_fetch_add(&g->entered, 1);
	n = read(g->fds[0], &byte, 1);
	atomic_fetch_add(&g->left, 1);
	return (int)n;
}

static void after_gate(void *arg)
{
	((struct gate *)arg)->after++;
}

static int abandon_work(const void *arg)
{
	struct gate *g = *(struct gate *const *)arg;
	GA_AUTO ga_future *running = ga_executor_with(GA_POOL_CPU, pass_gate, g, after_gate);
	GA_AUTO ga_future *queued = NULL;

	while (atomic_load(&g->entered) == 0)
		EXPECT(one_turn() == 0);
	queued = ga_executor_with(GA_POOL_CPU, pass_gate, g, after_gate); /* behind it, on the one thread */
	EXPECT(ga_cancel(queued));
	EXPECT(ga_cancel(running));
	EXPECT(ga_await(running) == -ECANCELED && ga_await(queued) == -ECANCELED);
	EXPECT(one_turn() == 0);
	EXPECT(g->after == 1); /* the queued one will never run */
	EXPECT(write(g->fds[1], "x", 1) == 1);
	return 0;
}

static void abandoned_work_is_waited_for_at_the_end_and_its_argument_freed(void **state GA_UNUSED)
{
	struct gate g = { .after = 0 }, *at = &g;

	assert_int_equal(pipe(g.fds), 0);
	assert_int_equal(ga_run(abandon_work, &at), 0);
	assert_int_equal(atomic_load(&g.entered), 1);
	assert_int_equal(atomic_load(&g.left), 1);
	assert_int_equal(g.after, 2);
	close(g.fds[0]);
	close(g.fds[1]);
}

static int release_at_once(const void *arg)
{
	ga_release(ga_executor_with(GA_POOL_IO, add_one, *(int *const *)arg, NULL));
	return 0;
}

static void released_work_is_done_all_the_same(void **state GA_UNUSED)
{
	int n = 0, *at = &n;

	assert_int_equal(ga_run(release_at_once, &at), 0);
	assert_int_equal(n, 1);
}

static int own_cpus(void *arg)
{
	return sched_getaffinity(0, sizeof(cpu_set_t), arg);
}

static int compare_cpus(const void *unused GA_UNUSED)
{
	cpu_set_t io, cpu;
	ga_future *f[] = { ga_executor(GA_POOL_IO, own_cpus, &io),
			   ga_executor(GA_POOL_CPU, own_cpus, &cpu) };

	EXPECT(ga_gather(f, 2, 0) == 0);
	ga_release_all(f, 2);
	EXPECT(CPU_COUNT(&cpu) == 1);
	return CPU_COUNT(&io);
}

static void io_threads_are_free_of_the_pin_and_the_cpu_thread_keeps_it(void **state GA_UNUSED)
{
	cpu_set_t before, one_cpu;
	int cpu = 0, r;

	assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
	while (!CPU_ISSET(cpu, &before))
		cpu++;
	CPU_ZERO(&one_cpu);
	CPU_SET(cpu, &one_cpu);
	assert_int_equal(sched_setaffinity(0, sizeof(one_cpu), &one_cpu), 0);
	r = ga_run(compare_cpus, NULL);
	assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
	assert_int_equal(r, CPU_COUNT(&before));
}

/* ---- signals ---- */

static int await_signals(const void *unused GA_UNUSED)
{
	GA_AUTO ga_future *first = ga_signal_future(SIGUSR1);
	GA_AUTO ga_future *other = ga_signal_future(SIGUSR2);
	GA_AUTO ga_future *missed = NULL, *cancelled = NULL;

	EXPECT(first && other);
	EXPECT(ga_signal_future(SIGKILL) == NULL && ga_signal_future(0) == NULL &&
	       ga_signal_future(99) == NULL);
	EXPECT(raise(SIGUSR1) == 0);
	EXPECT(ga_await(first) == SIGUSR1);
	EXPECT(!ga_done(other));
	EXPECT(raise(SIGUSR1) == 0); /* while nobody waits */
	EXPECT(ga_sleep(GA_MILLISECONDS(1)) == 0);
	missed = ga_signal_future(SIGUSR1);
	EXPECT(ga_await(missed) == SIGUSR1);
	cancelled = ga_signal_future(SIGUSR1);
	EXPECT(ga_cancel(cancelled) && ga_await(cancelled) == -ECANCELED);
	return 0;
}

static void signals_resolve_futures_and_none_is_missed(void **state GA_UNUSED)
{
	struct sigaction after;

	assert_int_equal(ga_run(await_signals, NULL), 0);
	assert_int_equal(sigaction(SIGUSR1, NULL, &after), 0);
	assert_ptr_equal(after.sa_handler, SIG_DFL); /* as before */
}

static int interrupted(const void *unused GA_UNUSED)
{
	int r;

	raise(SIGINT);
	r = ga_sleep(GA_SECONDS(60));
	return r == -ECANCELED ? 130 : r;
}

static void the_first_sigint_cancels_main(void **state GA_UNUSED)
{
	assert_int_equal(ga_run(interrupted, NULL), 130);
}

static int own_sigint(const void *unused GA_UNUSED)
{
	GA_AUTO ga_future *f = ga_signal_future(SIGINT);

	raise(SIGINT);
	EXPECT(ga_await(f) == SIGINT);
	raise(SIGINT);
	EXPECT(ga_sleep(GA_MILLISECONDS(2)) == 0); /* not cancelled */
	return 0;
}

static void a_program_may_wait_for_sigint_itself(void **state GA_UNUSED)
{
	assert_int_equal(ga_run(own_sigint, NULL), 0);
}

static volatile sig_atomic_t own_handler_calls;

static void own_handler(int sig GA_UNUSED)
{
	own_handler_calls++;
}

static int raise_sigint(const void *unused GA_UNUSED)
{
	raise(SIGINT);
	return ga_sleep(GA_MILLISECONDS(2));
}

static void a_program_keeps_its_own_sigint_handler(void **state GA_UNUSED)
{
	signal(SIGINT, own_handler);
	assert_int_equal(ga_run(raise_sigint, NULL), 0);
	assert_int_equal(own_handler_calls, 1);
	signal(SIGINT, SIG_DFL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_future_resolves_once_with_a_value),
		cmocka_unit_test(only_a_plain_future_is_resolved_by_hand),
		cmocka_unit_test(all_who_wait_are_told),
		cmocka_unit_test(a_handle_may_go_while_others_wait),
		cmocka_unit_test(a_waiter_may_drop_the_last_handle),
		cmocka_unit_test(a_released_sleep_is_forgotten),
		cmocka_unit_test(retain_keeps_a_result),
		cmocka_unit_test(on_done_calls_soon_and_never_from_inside),
		cmocka_unit_test(a_callback_of_a_bare_loop_spawns_and_is_told),
		cmocka_unit_test(a_descriptor_is_awaited),
		cmocka_unit_test(waiting_for_a_descriptor_can_be_cancelled_and_forgotten),
		cmocka_unit_test(a_file_is_always_ready_and_a_closed_descriptor_is_an_error),
		cmocka_unit_test(executor_calls_run_on_threads_and_resolve),
		cmocka_unit_test(many_executor_calls_all_resolve),
		cmocka_unit_test(abandoned_work_is_waited_for_at_the_end_and_its_argument_freed),
		cmocka_unit_test(released_work_is_done_all_the_same),
		cmocka_unit_test(io_threads_are_free_of_the_pin_and_the_cpu_thread_keeps_it),
		cmocka_unit_test(signals_resolve_futures_and_none_is_missed),
		cmocka_unit_test(the_first_sigint_cancels_main),
		cmocka_unit_test(a_program_may_wait_for_sigint_itself),
		cmocka_unit_test(a_program_keeps_its_own_sigint_handler),
	};

	return TAP_RUN(tests);
}
