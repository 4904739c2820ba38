/* The executor's edges: bounds, threads, what is never run, the loop's end, no memory. */
#include "async_check.h"
#include "executor.h"
#include "tap_main.h"
#include <dirent.h>
#include <gather/executor.h>
#include <gather/process.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);

static _Thread_local int allocations_left = INT32_MAX;

static bool granted(void)
{
	return allocations_left == INT32_MAX || allocations_left-- > 0;
}

void *__wrap_malloc(size_t size)
{
	return granted() ? __real_malloc(size) : NULL;
}

void *__wrap_calloc(size_t count, size_t size)
{
	return granted() ? __real_calloc(count, size) : NULL;
}

#define REAL_CASE(name)                                                                            \
	static int name##_body(const void *arg GA_UNUSED);                                         \
	static void name(void **state GA_UNUSED)                                                   \
	{                                                                                          \
		assert_int_equal(ga_run(name##_body, NULL), 0);                                    \
	}                                                                                          \
	static int name##_body(const void *arg GA_UNUSED)

/* Work that stays in its thread until the gate opens. */
struct gate {
	int fds[2];
	atomic_int entered, left;
	int after; /* the loop's */
};

static int gate_open(struct gate *g)
{
	*g = (struct gate){ .after = 0 };
	return pipe(g->fds);
}

static int pass(void *arg)
{
	struct gate *g = arg;
	char byte;
	int r;

	atomic_fetch_add(&g->entered, 1);
	r = (int)read(g->fds[0], &byte, 1);
	atomic_fetch_add(&g->left, 1);
	return r;
}

static void passed(void *arg)
{
	((struct gate *)arg)->after++;
}

static int let_through(struct gate *g, int count)
{
	for (int i = 0; i < count; i++)
		EXPECT(write(g->fds[1], "x", 1) == 1);
	return 0;
}

static void gate_close(struct gate *g)
{
	close(g->fds[0]);
	close(g->fds[1]);
}

static int until_entered(struct gate *g, int count)
{
	while (atomic_load(&g->entered) < count)
		EXPECT(one_turn() == 0);
	return 0;
}

REAL_CASE(a_full_pool_answers_eagain_at_once_and_calls_after)
{
	ga_future *f[5];
	struct gate g;

	EXPECT(gate_open(&g) == 0);
	EXPECT(ga_executor_limit(GA_POOL_IO, 2, 1) == 0);
	for (int i = 0; i < 5; i++)
		f[i] = ga_executor_with(GA_POOL_IO, pass, &g, passed);
	for (int i = 0; i < 5; i++)
		EXPECT(f[i] && ga_done(f[i]) == (i >= 3));
	EXPECT(ga_await(f[3]) == -EAGAIN && ga_await(f[4]) == -EAGAIN);
	EXPECT(g.after == 0); /* never from inside the call */
	EXPECT(one_turn() == 0 && g.after == 2);
	EXPECT(let_through(&g, 3) == 0);
	EXPECT(ga_gather(f, 3, 0) == 0 && g.after == 5);
	EXPECT(atomic_load(&g.entered) == 3);
	ga_release_all(f, 5);
	gate_close(&g);
	return 0;
}

REAL_CASE(a_queue_of_none_takes_what_a_free_thread_can_begin)
{
	GA_AUTO ga_future *first = NULL, *second = NULL, *third = NULL;
	struct gate g;

	EXPECT(gate_open(&g) == 0);
	EXPECT(ga_executor_limit(GA_POOL_CPU, 1, 0) == 0);
	first = ga_executor(GA_POOL_CPU, pass, &g);
	second = ga_executor(GA_POOL_CPU, pass, &g);
	EXPECT(!ga_done(first) && ga_result(second, NULL) == -EAGAIN);
	EXPECT(let_through(&g, 2) == 0 && ga_await(first) == 1);
	do { /* the thread says that it is free a moment after its work is done */
		ga_release(third);
		third = ga_executor(GA_POOL_CPU, pass, &g);
	} while (ga_result(third, NULL) == -EAGAIN);
	EXPECT(ga_await(third) == 1);
	gate_close(&g);
	return 0;
}

REAL_CASE(work_taken_back_makes_room_in_the_queue_and_is_never_run)
{
	GA_AUTO ga_future *running = NULL, *queued = NULL, *full = NULL, *next = NULL;
	struct gate g;

	EXPECT(gate_open(&g) == 0);
	EXPECT(ga_executor_limit(GA_POOL_CPU, 1, 1) == 0);
	running = ga_executor_with(GA_POOL_CPU, pass, &g, passed);
	EXPECT(until_entered(&g, 1) == 0);
	queued = ga_executor_with(GA_POOL_CPU, pass, &g, passed);
	full = ga_executor(GA_POOL_CPU, pass, &g);
	EXPECT(!ga_done(queued) && ga_result(full, NULL) == -EAGAIN);
	EXPECT(ga_cancel(queued) && ga_await(queued) == -ECANCELED);
	next = ga_executor_with(GA_POOL_CPU, pass, &g, passed);
	EXPECT(!ga_done(next));
	EXPECT(let_through(&g, 2) == 0 && ga_await(running) == 1 && ga_await(next) == 1);
	EXPECT(g.after == 3 && atomic_load(&g.entered) == 2);
	gate_close(&g);
	return 0;
}

REAL_CASE(a_pool_has_as_many_threads_as_its_limit_and_no_more)
{
	ga_future *f[9];
	struct gate g;

	EXPECT(gate_open(&g) == 0);
	EXPECT(ga_executor_limit(GA_POOL_IO, 3, 100) == 0);
	for (int i = 0; i < 9; i++)
		f[i] = ga_executor(GA_POOL_IO, pass, &g);
	EXPECT(until_entered(&g, 3) == 0);
	EXPECT(ga_sleep(GA_MILLISECONDS(5)) == 0 && atomic_load(&g.entered) == 3);
	EXPECT(let_through(&g, 9) == 0 && ga_gather(f, 9, 0) == 0);
	ga_release_all(f, 9);
	gate_close(&g);
	return 0;
}

static int who(void *arg)
{
	*(pthread_t *)arg = pthread_self();
	return 0;
}

static int count_threads(void)
{
	DIR *d = opendir("/proc/self/task");
	int count = -2; /* . and .. */

	while (d && readdir(d))
		count++;
	if (d)
		closedir(d);
	return count;
}

/* One after the other, so one idle thread does them all, or two, if the first wasn't quick enough to be idle again. */
REAL_CASE(an_idle_thread_is_used_again)
{
	int before = count_threads();

	for (int i = 0; i < 100; i++) {
		pthread_t thread;
		GA_AUTO ga_future *f = ga_executor(GA_POOL_IO, who, &thread);

		EXPECT(ga_await(f) == 0);
		EXPECT(!pthread_equal(thread, pthread_self()));
		EXPECT(ga_sleep(GA_MILLISECONDS(0.05)) == 0);
	}
	EXPECT(count_threads() - before < 20);
	return 0;
}

static int use_it_and_get_stuck(const void *unused GA_UNUSED)
{
	GA_AUTO ga_future *never = ga_future_new();
	struct ga_timeout shield;
	pthread_t thread;
	GA_AUTO ga_future *f = ga_executor(GA_POOL_IO, who, &thread);

	EXPECT(ga_await(f) == 0);
	EXPECT(ga_shield_enter(&shield, GA_NEVER) == 0);
	return ga_timeout_exit(&shield, ga_await(never));
}

/* In a child process, as what is stuck is lost; and without SIGINT, for which the loop would wait. */
static void a_loop_that_ends_with_stuck_tasks_joins_the_threads_too(void **state GA_UNUSED)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		(void)alarm(20);
		(void)signal(SIGINT, SIG_IGN);
		_exit(ga_run(use_it_and_get_stuck, NULL) == -EDEADLK ? count_threads() : 0);
	}
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), count_threads());
}

static int use_both(const void *unused GA_UNUSED)
{
	pthread_t a, b;
	ga_future *f[] = { ga_executor(GA_POOL_IO, who, &a), ga_executor(GA_POOL_CPU, who, &b) };

	EXPECT(ga_gather(f, 2, 0) == 0);
	ga_release_all(f, 2);
	EXPECT(count_threads() >= 3);
	return 0;
}

static void the_loops_end_joins_the_threads(void **state GA_UNUSED)
{
	int before = count_threads();

	assert_int_equal(ga_run(use_both, NULL), 0);
	assert_int_equal(count_threads(), before);
}

REAL_CASE(a_bad_limit_is_einval_and_changes_nothing)
{
	pthread_t thread;
	GA_AUTO ga_future *f = NULL;

	EXPECT(ga_executor_limit(GA_POOL_IO, 0, 5) == -EINVAL);
	EXPECT(ga_executor_limit(GA_POOL_IO, 257, 5) == -EINVAL);
	EXPECT(ga_executor_limit((enum ga_pool)2, 1, 5) == -EINVAL);
	EXPECT(ga_executor_limit(GA_POOL_IO, 256, 0) == 0);
	f = ga_executor(GA_POOL_IO, who, &thread);
	EXPECT(ga_await(f) == 0);
	return 0;
}

static void without_a_loop_there_is_no_pool(void **state GA_UNUSED)
{
	assert_int_equal(ga_executor_limit(GA_POOL_IO, 1, 1), -EPERM);
	assert_null(ga_executor(GA_POOL_IO, who, NULL));
}

static struct gate last;
static pthread_t last_thread;
static ga_future *refused;
static int refused_limit;
static ga_process *left;

/* Cancelled by the loop's end, it has work done all the same. */
static int clean_up_in_a_thread(const void *unused GA_UNUSED)
{
	GA_AUTO ga_future *f = NULL;

	EXPECT(ga_sleep(GA_NEVER) == -ECANCELED);
	ga_uncancel();
	f = ga_executor_with(GA_POOL_IO, who, &last_thread, NULL);
	EXPECT(f && ga_await(f) == 0);
	ga_release(ga_executor_with(GA_POOL_IO, pass, &last, passed)); /* nobody waits for this one */
	return 0;
}

static void on_the_very_end(ga_future *f GA_UNUSED, void *arg GA_UNUSED)
{
	refused = ga_executor_with(GA_POOL_IO, pass, &last, passed);
	refused_limit = ga_executor_limit(GA_POOL_IO, 1, 1);
}

static int close_with_work(const void *unused GA_UNUSED)
{
	GA_AUTO ga_future *task = ga_spawn(clean_up_in_a_thread, NULL);

	EXPECT(one_turn() == 0);
	EXPECT(let_through(&last, 1) == 0);
	return 0;
}

static void work_handed_in_while_the_loop_closes_is_done_and_joined(void **state GA_UNUSED)
{
	assert_int_equal(gate_open(&last), 0);
	assert_int_equal(ga_run(close_with_work, NULL), 0);
	assert_int_equal(atomic_load(&last.left), 1);
	assert_int_equal(last.after, 1);
	gate_close(&last);
}

/* Processes are killed, and their futures resolved, after the executor has been joined. */
static int leave_a_process(const void *unused GA_UNUSED)
{
	static const char *const argv[] = { "sleep", "100", NULL };
	GA_AUTO ga_future *end = NULL;

	EXPECT(ga_process_start(argv, NULL, &left) == 0);
	end = ga_process_future(left);
	EXPECT(ga_on_done(end, on_the_very_end, NULL) == 0);
	return 0;
}

static void once_the_loop_has_closed_there_is_no_pool(void **state GA_UNUSED)
{
	refused = (ga_future *)&last;
	refused_limit = 0;
	assert_int_equal(ga_run(leave_a_process, NULL), 0);
	ga_process_free(left);
	assert_null(refused);
	assert_int_equal(refused_limit, -ECANCELED);
}

/* Without privilege, because the limit doesn't hold for root. */
static int in_fork(ga_coroutine_fn body)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (geteuid() == 0 && setresuid(54321, 54321, 54321) < 0)
			_exit(200);
		_exit(ga_run(body, NULL) & 255);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int allow_no_more_threads(void)
{
	struct rlimit now;

	EXPECT(getrlimit(RLIMIT_NPROC, &now) == 0);
	now.rlim_cur = 0;
	EXPECT(setrlimit(RLIMIT_NPROC, &now) == 0);
	return 0;
}

static int start_none(const void *unused GA_UNUSED)
{
	struct gate g = { .after = 0 };
	GA_AUTO ga_future *f = NULL;

	EXPECT(allow_no_more_threads() == 0);
	f = ga_executor_with(GA_POOL_IO, pass, &g, passed);
	EXPECT(f && ga_await(f) == -EAGAIN);
	EXPECT(one_turn() == 0 && g.after == 1 && atomic_load(&g.entered) == 0);
	return 0;
}

static void where_no_thread_can_be_started_it_is_eagain(void **state GA_UNUSED)
{
	assert_int_equal(in_fork(start_none), 0);
}

static int start_one_of_two(const void *unused GA_UNUSED)
{
	ga_future *f[4];
	struct gate g;

	EXPECT(gate_open(&g) == 0);
	f[0] = ga_executor(GA_POOL_IO, pass, &g);
	EXPECT(until_entered(&g, 1) == 0);
	EXPECT(allow_no_more_threads() == 0);
	for (int i = 1; i < 4; i++)
		f[i] = ga_executor(GA_POOL_IO, pass, &g);
	EXPECT(let_through(&g, 4) == 0);
	EXPECT(ga_gather(f, 4, 0) == 0); /* the one thread did them all */
	ga_release_all(f, 4);
	return 0;
}

static void work_waits_for_the_threads_there_are_when_no_more_can_be_started(void **state GA_UNUSED)
{
	assert_int_equal(in_fork(start_one_of_two), 0);
}

static int count_down(const void *unused GA_UNUSED)
{
	int granted_before, failed = 0;

	for (granted_before = 0;; granted_before++) {
		struct gate g = { .after = 0 };
		pthread_t thread;
		ga_future *f;
		int limit;

		allocations_left = granted_before;
		limit = ga_executor_limit(GA_POOL_IO, 4, 4);
		f = ga_executor_with(GA_POOL_IO, who, &thread, NULL);
		allocations_left = INT32_MAX;
		EXPECT(limit == 0 || limit == -ENOMEM);
		failed += !f;
		EXPECT(g.after == 0);
		if (f && limit == 0) {
			EXPECT(ga_await(f) == 0);
			ga_release(f);
			break;
		}
		ga_release(f);
		EXPECT(granted_before < 50);
	}
	EXPECT(failed > 0);
	return 0;
}

static void out_of_memory_at_each_allocation_is_null_and_nothing_runs(void **state GA_UNUSED)
{
	assert_int_equal(ga_run(count_down, NULL), 0);
}

static int own_cpus(void *arg)
{
	return sched_getaffinity(0, sizeof(cpu_set_t), arg);
}

static int compare_cpus(const void *unused GA_UNUSED)
{
	cpu_set_t io, cpu, own;
	ga_future *f[] = { ga_executor(GA_POOL_IO, own_cpus, &io),
			   ga_executor(GA_POOL_CPU, own_cpus, &cpu) };

	EXPECT(sched_getaffinity(0, sizeof(own), &own) == 0);
	EXPECT(ga_gather(f, 2, 0) == 0);
	ga_release_all(f, 2);
	EXPECT(CPU_EQUAL(&cpu, &own) && CPU_COUNT(&own) == 1);
	return CPU_COUNT(&io);
}

static void io_threads_leave_the_loops_cpu_and_the_cpu_thread_stays(void **state GA_UNUSED)
{
	cpu_set_t before, one_cpu;
	int cpu = CPU_SETSIZE - 1, r;

	assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
	while (!CPU_ISSET(cpu, &before))
		cpu--;
	CPU_ZERO(&one_cpu);
	CPU_SET(cpu, &one_cpu);
	assert_int_equal(sched_setaffinity(0, sizeof(one_cpu), &one_cpu), 0);
	r = ga_run(compare_cpus, NULL);
	executor_set_io_cpus(&one_cpu); /* what a role that was pinned before exec says */
	assert_int_equal(ga_run(compare_cpus, NULL), 1);
	executor_set_io_cpus(&before);
	assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
	assert_int_equal(r, CPU_COUNT(&before));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_pool_answers_eagain_at_once_and_calls_after),
		cmocka_unit_test(a_queue_of_none_takes_what_a_free_thread_can_begin),
		cmocka_unit_test(work_taken_back_makes_room_in_the_queue_and_is_never_run),
		cmocka_unit_test(a_pool_has_as_many_threads_as_its_limit_and_no_more),
		cmocka_unit_test(an_idle_thread_is_used_again),
		cmocka_unit_test(the_loops_end_joins_the_threads),
		cmocka_unit_test(a_loop_that_ends_with_stuck_tasks_joins_the_threads_too),
		cmocka_unit_test(a_bad_limit_is_einval_and_changes_nothing),
		cmocka_unit_test(without_a_loop_there_is_no_pool),
		cmocka_unit_test(work_handed_in_while_the_loop_closes_is_done_and_joined),
		cmocka_unit_test(once_the_loop_has_closed_there_is_no_pool),
		cmocka_unit_test(where_no_thread_can_be_started_it_is_eagain),
		cmocka_unit_test(work_waits_for_the_threads_there_are_when_no_more_can_be_started),
		cmocka_unit_test(io_threads_leave_the_loops_cpu_and_the_cpu_thread_stays),
		cmocka_unit_test(out_of_memory_at_each_allocation_is_null_and_nothing_runs),
	};

	return TAP_RUN(tests);
}
