/* Signals: two loops, children, a second Ctrl-C, what the program had before. */
#include "async_check.h"
#include "tap_main.h"
#include <gather/process.h>
#include <gather/runner.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define REAL_CASE(name)                                                                            \
	static int name##_body(const void *arg GA_UNUSED);                                         \
	static void name(void **state GA_UNUSED)                                                   \
	{                                                                                          \
		assert_int_equal(ga_run(name##_body, NULL), 0);                                    \
	}                                                                                          \
	static int name##_body(const void *arg GA_UNUSED)

/* How a forked process ends that runs `body`: its exit status, or 1000 + the signal. */
static int in_fork(ga_coroutine_fn body)
{
	const struct rlimit none = { 0, 0 };
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &none);
		_exit(ga_run(body, NULL) & 255);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

REAL_CASE(all_who_wait_for_a_signal_are_told)
{
	GA_AUTO ga_future *a = ga_signal_future(SIGUSR1), *b = ga_signal_future(SIGUSR1);
	GA_AUTO ga_future *last = ga_signal_future(64), *other = ga_signal_future(SIGUSR2);

	EXPECT(raise(SIGUSR1) == 0 && raise(64) == 0);
	EXPECT(ga_await(a) == SIGUSR1 && ga_await(b) == SIGUSR1 && ga_await(last) == 64);
	EXPECT(!ga_done(other));
	ga_release(other); /* may go unresolved */
	other = NULL;
	EXPECT(raise(SIGUSR2) == 0);
	return 0;
}

static int send_here(void *arg)
{
	return kill(getpid(), *(int *)arg) < 0 ? -errno : 0;
}

REAL_CASE(a_signal_sent_by_a_thread_of_the_pool_arrives)
{
	int sig = SIGUSR1;
	GA_AUTO ga_future *f = ga_signal_future(sig);
	GA_AUTO ga_future *sender = ga_executor(GA_POOL_IO, send_here, &sig);

	EXPECT(ga_await(f) == SIGUSR1 && ga_await(sender) == 0);
	return 0;
}

struct pair {
	pthread_barrier_t step;
	int results[2];
};

static int hold_the_signals(const void *arg)
{
	struct pair *p = *(struct pair *const *)arg;
	GA_AUTO ga_future *f = ga_signal_future(SIGUSR1);

	EXPECT(f);
	pthread_barrier_wait(&p->step); /* the other one asks in vain */
	pthread_barrier_wait(&p->step);
	EXPECT(raise(SIGUSR1) == 0 && ga_await(f) == SIGUSR1);
	return 0;
}

static int ask_for_the_signals(const void *unused GA_UNUSED)
{
	GA_AUTO ga_future *f = ga_signal_future(SIGUSR1);

	return f ? 1 : 0;
}

static void *other_loop(void *arg)
{
	struct pair *p = arg;

	pthread_barrier_wait(&p->step);
	p->results[0] = ga_run(ask_for_the_signals, NULL);
	pthread_barrier_wait(&p->step);
	pthread_barrier_wait(&p->step); /* the first loop has ended */
	p->results[1] = ga_run(ask_for_the_signals, NULL);
	return NULL;
}

static void one_loop_has_the_signals_and_another_may_when_it_has_ended(void **state GA_UNUSED)
{
	struct pair pair = { .results = { -1, -1 } }, *at = &pair;
	pthread_t thread;

	assert_int_equal(pthread_barrier_init(&pair.step, NULL, 2), 0);
	assert_int_equal(pthread_create(&thread, NULL, other_loop, &pair), 0);
	assert_int_equal(ga_run(hold_the_signals, &at), 0);
	pthread_barrier_wait(&pair.step);
	pthread_join(thread, NULL);
	pthread_barrier_destroy(&pair.step);
	assert_int_equal(pair.results[0], 0);
	assert_int_equal(pair.results[1], 1);
}

/* The program may watch its children by the signal, and libgather's by ga_process_wait(), side by side. */
REAL_CASE(sigchld_comes_for_the_programs_children_and_for_processes)
{
	static const char *const argv[] = { "sh", "-c", "exit 3", NULL };
	GA_AUTO ga_future *own = ga_signal_future(SIGCHLD), *theirs = NULL;
	GA_AUTO_PROCESS ga_process *p = NULL;
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(5);
	EXPECT(own && ga_await(own) == SIGCHLD);
	EXPECT(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 5);
	theirs = ga_signal_future(SIGCHLD);
	EXPECT(ga_process_start(argv, NULL, &p) == 0);
	EXPECT(ga_await(theirs) == SIGCHLD);
	EXPECT(ga_process_wait(p, ga_now() + GA_SECONDS(10)) == 3);
	return 0;
}

static int ignore_the_first_sigint(const void *unused GA_UNUSED)
{
	raise(SIGINT);
	EXPECT(ga_sleep(GA_SECONDS(60)) == -ECANCELED);
	ga_uncancel();
	raise(SIGINT);
	return ga_sleep(GA_SECONDS(60));
}

static void a_second_sigint_ends_the_program(void **state GA_UNUSED)
{
	assert_int_equal(in_fork(ignore_the_first_sigint), 1000 + SIGINT);
}

static int block_the_loop(const void *unused GA_UNUSED)
{
	raise(SIGINT);
	raise(SIGINT); /* the loop has had no turn since the first */
	return 7;
}

static void a_second_sigint_ends_a_program_whose_loop_is_blocked(void **state GA_UNUSED)
{
	assert_int_equal(in_fork(block_the_loop), 1000 + SIGINT);
}

static int take_sigint_over(const void *unused GA_UNUSED)
{
	GA_AUTO ga_future *f = ga_signal_future(SIGINT);

	raise(SIGINT);
	raise(SIGINT);
	EXPECT(ga_await(f) == SIGINT);
	return 7;
}

static void a_program_that_waits_for_sigint_gets_each(void **state GA_UNUSED)
{
	assert_int_equal(in_fork(take_sigint_over), 7);
}

static ga_future *between;

static int take_it(const void *unused GA_UNUSED)
{
	between = ga_signal_future(SIGINT);
	return between ? 0 : -1;
}

static int await_it(const void *unused GA_UNUSED)
{
	return ga_await(between);
}

static void a_signal_taken_by_one_main_is_still_there_for_the_next(void **state GA_UNUSED)
{
	struct sigaction after;
	ga_runner *r;

	assert_int_equal(ga_runner_new(NULL, &r), 0);
	assert_int_equal(ga_runner_run(r, take_it, NULL), 0);
	assert_int_equal(raise(SIGINT), 0); /* between the two, which would have ended the program */
	assert_int_equal(ga_runner_run(r, await_it, NULL), SIGINT);
	ga_release(between);
	assert_int_equal(ga_runner_close(r), 0);
	assert_int_equal(sigaction(SIGINT, NULL, &after), 0);
	assert_ptr_equal(after.sa_handler, SIG_DFL);
}

static void on_own(int sig GA_UNUSED, siginfo_t *info GA_UNUSED, void *context GA_UNUSED)
{
}

static int take_several(const void *unused GA_UNUSED)
{
	GA_AUTO ga_future *a = ga_signal_future(SIGUSR1), *b = ga_signal_future(SIGUSR2);
	GA_AUTO ga_future *c = ga_signal_future(SIGTERM);
	struct sigaction now;

	EXPECT(a && b && c);
	EXPECT(sigaction(SIGTERM, NULL, &now) == 0 && now.sa_handler != SIG_DFL);
	return 0;
}

static void the_loops_end_restores_what_signals_did_before(void **state GA_UNUSED)
{
	struct sigaction own = { .sa_sigaction = on_own, .sa_flags = SA_SIGINFO | SA_RESTART }, now;

	sigemptyset(&own.sa_mask);
	sigaddset(&own.sa_mask, SIGHUP);
	assert_int_equal(sigaction(SIGUSR1, &own, NULL), 0);
	signal(SIGUSR2, SIG_IGN);
	assert_int_equal(ga_run(take_several, NULL), 0);
	assert_int_equal(sigaction(SIGUSR1, NULL, &now), 0);
	assert_ptr_equal(now.sa_sigaction, on_own);
	assert_int_equal(now.sa_flags & (SA_SIGINFO | SA_RESTART | SA_ONSTACK),
			 SA_SIGINFO | SA_RESTART);
	assert_int_equal(sigismember(&now.sa_mask, SIGHUP), 1);
	assert_int_equal(sigaction(SIGUSR2, NULL, &now), 0);
	assert_ptr_equal(now.sa_handler, SIG_IGN);
	assert_int_equal(sigaction(SIGTERM, NULL, &now), 0);
	assert_ptr_equal(now.sa_handler, SIG_DFL);
	assert_int_equal(sigaction(SIGINT, NULL, &now), 0);
	assert_ptr_equal(now.sa_handler, SIG_DFL);
	signal(SIGUSR1, SIG_DFL);
	signal(SIGUSR2, SIG_DFL);
}

static atomic_bool storm_ends;

static void *storm(void *arg GA_UNUSED)
{
	while (!atomic_load(&storm_ends))
		kill(getpid(), SIGUSR1);
	return NULL;
}

static int take_one(const void *unused GA_UNUSED)
{
	GA_AUTO ga_future *f = ga_signal_future(SIGUSR1);

	return ga_await(f) == SIGUSR1 ? 0 : 1;
}

/* A handler that runs while the loop ends touches nothing of the loop's. */
static void a_loop_may_end_in_a_storm_of_signals(void **state GA_UNUSED)
{
	pthread_t thread;

	signal(SIGUSR1, SIG_IGN); /* meanwhile, between the loops */
	atomic_store(&storm_ends, false);
	assert_int_equal(pthread_create(&thread, NULL, storm, NULL), 0);
	for (int i = 0; i < 50; i++)
		assert_int_equal(ga_run(take_one, NULL), 0);
	atomic_store(&storm_ends, true);
	pthread_join(thread, NULL);
	signal(SIGUSR1, SIG_DFL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_who_wait_for_a_signal_are_told),
		cmocka_unit_test(a_signal_sent_by_a_thread_of_the_pool_arrives),
		cmocka_unit_test(one_loop_has_the_signals_and_another_may_when_it_has_ended),
		cmocka_unit_test(sigchld_comes_for_the_programs_children_and_for_processes),
		cmocka_unit_test(a_second_sigint_ends_the_program),
		cmocka_unit_test(a_second_sigint_ends_a_program_whose_loop_is_blocked),
		cmocka_unit_test(a_program_that_waits_for_sigint_gets_each),
		cmocka_unit_test(a_signal_taken_by_one_main_is_still_there_for_the_next),
		cmocka_unit_test(the_loops_end_restores_what_signals_did_before),
		cmocka_unit_test(a_loop_may_end_in_a_storm_of_signals),
	};

	return TAP_RUN(tests);
}
