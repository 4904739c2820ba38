/* run, create_task, sleep: what a program is made of. */
#include "conform.h"
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int return_arg(const void *arg)
{
	return *(const int *)arg;
}

static int outlive_main(const void *arg)
{
	bool *ended = *(bool *const *)arg;

	*ended = ga_sleep(GA_SECONDS(1000)) == -ECANCELED;
	return 0;
}

/* ---- run ---- */

CASE_BARE(run_returns, "asyncio-runner#asyncio.run", "run: returns what main returns")
{
	HOLDS(ga_run(return_arg, &(int){ 7 }) == 7);
	HOLDS(ga_run(return_arg, &(int){ -EIO }) == -EIO);
	return 0;
}

CASE_BARE(run_again, "asyncio-runner#asyncio.run",
	  "run: makes a new loop each time, and a program may run one after another")
{
	for (int i = 0; i < 3; i++)
		HOLDS(ga_run(return_arg, &i) == i);
	return 0;
}

CASE(run_in_run, "asyncio-runner#asyncio.run", "run: is refused where a loop runs already")
{
	HOLDS(ga_run(return_arg, &(int){ 7 }) == -EBUSY);
	HOLDS(settle() == 0); /* and the loop that runs is as it was */
	return 0;
}

static bool left_ended;

static int leave_a_task(const void *unused GA_UNUSED)
{
	static bool *at = &left_ended;

	ga_release(ga_spawn(outlive_main, &at));
	return ga_sleep(0) == 0 ? 5 : -EIO;
}

CASE_BARE(run_cancels_rest, "spec, asyncio-runner#asyncio.run",
	  "run: at its end all other tasks are cancelled and joined, and main's result stands")
{
	left_ended = false;
	HOLDS(ga_run(leave_a_task, NULL) == 5);
	HOLDS(left_ended);
	return 0;
}

static int body_count;

static int count_body(const void *unused GA_UNUSED)
{
	body_count++;
	return 0;
}

static int spawn_when_cancelled(const void *unused GA_UNUSED)
{
	(void)ga_sleep(GA_SECONDS(1000));
	ga_release(ga_spawn(count_body, NULL));
	return 0;
}

static int leave_a_spawner(const void *unused GA_UNUSED)
{
	ga_release(ga_spawn(spawn_when_cancelled, NULL));
	return ga_sleep(0);
}

CASE_BARE(run_closing_spawn, "asyncio-runner#asyncio.run",
	  "run: a task spawned while it closes is cancelled too, before its body")
{
	body_count = 0;
	HOLDS(ga_run(leave_a_spawner, NULL) == 0);
	HOLDS(body_count == 0);
	return 0;
}

static int work_a_while(void *arg)
{
	usleep(20000);
	*(bool *)arg = true;
	return 0;
}

static int leave_work(const void *arg)
{
	ga_release(ga_executor(GA_POOL_IO, work_a_while, *(bool *const *)arg));
	return 0;
}

CASE_BARE(run_joins_executor, "spec, asyncio-runner#asyncio.run",
	  "run: at its end the executor is joined")
{
	bool done = false, *at = &done;

	HOLDS(ga_run(leave_work, &at) == 0);
	HOLDS(done);
	return 0;
}

static int wait_for_nothing(const void *unused GA_UNUSED)
{
	GA_AUTO ga_future *f = ga_future_new();

	return ga_await(f);
}

static int interrupted(const void *unused GA_UNUSED)
{
	raise(SIGINT);
	return ga_sleep(GA_SECONDS(30));
}

CASE_BARE(run_sigint, "spec, asyncio-runner#handling-keyboard-interruption",
	  "run: the first SIGINT cancels main")
{
	HOLDS(ga_run(interrupted, NULL) == -ECANCELED);
	return 0;
}

static int take_interrupt(const void *unused GA_UNUSED)
{
	raise(SIGINT);
	if (ga_sleep(GA_SECONDS(30)) != -ECANCELED)
		return -EIO;
	ga_uncancel();
	return ga_sleep(GA_MILLISECONDS(1)) == 0 ? 9 : -EIO;
}

CASE_BARE(run_sigint_taken, "asyncio-runner#handling-keyboard-interruption",
	  "run: main may take its SIGINT, clean up and return a result")
{
	HOLDS(ga_run(take_interrupt, NULL) == 9);
	return 0;
}

static int interrupted_twice(const void *unused GA_UNUSED)
{
	raise(SIGINT);
	(void)ga_sleep(GA_SECONDS(30));
	raise(SIGINT);
	while (ga_sleep(GA_SECONDS(30)) < 0)
		;
	return 0;
}

CASE_CHILD(run_sigint_twice, "asyncio-runner#handling-keyboard-interruption",
	   "run: a second SIGINT ends the program at once, though main ignores its cancel")
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		alarm(20);
		_exit(ga_run(interrupted_twice, NULL) != 0);
	}
	HOLDS(waitpid(child, &status, 0) == child);
	HOLDS(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
	return 0;
}

static int return_seven(const void *unused GA_UNUSED)
{
	return 7;
}

CASE_BARE(run_restores_sigint, "asyncio-runner#handling-keyboard-interruption",
	  "run: SIGINT's handler is after it what it was before")
{
	struct sigaction before, now;

	HOLDS(sigaction(SIGINT, NULL, &before) == 0);
	HOLDS(ga_run(return_seven, NULL) == 7);
	HOLDS(sigaction(SIGINT, NULL, &now) == 0);
	HOLDS(now.sa_handler == before.sa_handler);
	return 0;
}

static int stay_forever(const void *unused GA_UNUSED)
{
	return wait_for_nothing(NULL);
}

CASE_BARE(run_deadlock, "libgather",
	  "run: with SIGINT handled by the program, a main that waits for what nothing can bring is told")
{
	void (*before)(int) = signal(SIGINT, SIG_IGN);
	int r = ga_run(stay_forever, NULL);

	signal(SIGINT, before);
	HOLDS(r == -EDEADLK);
	return 0;
}

/* ---- create_task ---- */

CASE(spawn_later, "asyncio-task#asyncio.create_task",
     "create_task: the body runs soon, not inside the call")
{
	GA_AUTO ga_future *t = NULL;

	body_count = 0;
	t = ga_spawn(count_body, NULL);
	HOLDS(body_count == 0 && !ga_done(t));
	HOLDS(settle() == 0);
	HOLDS(body_count == 1 && ga_done(t));
	return 0;
}

CASE(spawn_concurrently, "asyncio-task#coroutines",
     "create_task: tasks run at the same time: two naps of two seconds take two seconds")
{
	int64_t start = ga_now();
	GA_AUTO ga_future *a = NAP(2, 1);
	GA_AUTO ga_future *b = NAP(2, 2);

	HOLDS(ga_await(a) == 1 && ga_await(b) == 2);
	HOLDS(ga_now() - start == GA_SECONDS(2));
	return 0;
}

CASE(spawn_kept, "spec, asyncio-task#asyncio.create_task",
     "create_task: the loop keeps a task that nobody holds a handle of")
{
	body_count = 0;
	ga_release(ga_spawn(count_body, NULL));
	HOLDS(settle() == 0);
	HOLDS(body_count == 1);
	return 0;
}

static int begun[3], begun_count;

static int note_begin(const void *arg)
{
	begun[begun_count++] = *(const int *)arg;
	return 0;
}

CASE_FIFO(spawn_fifo, "asyncio-task#asyncio.create_task",
	  "create_task: tasks begin in the order in which they were made")
{
	const int names[] = { 1, 2, 3 };
	ga_future *f[3];

	begun_count = 0;
	for (int i = 0; i < 3; i++)
		f[i] = ga_spawn(note_begin, &names[i]);
	HOLDS(ga_gather(f, 3, 0) == 0);
	HOLDS(begun[0] == 1 && begun[1] == 2 && begun[2] == 3);
	ga_release_all(f, 3);
	return 0;
}

CASE(await_error, "asyncio-task#awaitables", "await: gives the task's result, and its error as it is")
{
	GA_AUTO ga_future *good = NAP(1, 3);
	GA_AUTO ga_future *bad = NAP(1, -EPROTO);

	HOLDS(ga_await(good) == 3);
	HOLDS(ga_await(bad) == -EPROTO);
	HOLDS(ga_await(bad) == -EPROTO); /* as often as one likes */
	return 0;
}

CASE(await_many, "asyncio-task#awaitables",
     "await: several tasks may wait for one, and each gets its result")
{
	ga_future *inner = NAP(1, 6);
	ga_future *f[] = { ga_spawn(await_it, &inner), ga_spawn(await_it, &inner),
			   ga_spawn(await_it, &inner) };

	HOLDS(ga_gather(f, 3, 0) == 0);
	for (int i = 0; i < 3; i++)
		HOLDS(ga_result(f[i], NULL) == 6);
	ga_release_all(f, 3);
	ga_release(inner);
	return 0;
}

CASE(self, "asyncio-task#asyncio.current_task",
     "current_task: is the task that runs, and its own in each")
{
	GA_AUTO ga_future *me = ga_retain(ga_self());

	HOLDS(me && !ga_done(me));
	HOLDS(settle() == 0);
	HOLDS(ga_self() == me);
	return 0;
}

CASE_BARE(self_outside, "asyncio-task#asyncio.current_task", "current_task: none runs outside of a loop")
{
	HOLDS(ga_self() == NULL);
	return 0;
}

/* ---- eager start ---- */

static const struct ga_spawn_options eagerly = { .eager = true };

CASE(eager_at_once, "spec, asyncio-task#eager-task-factory",
     "eager start: the body runs inside the call until it suspends")
{
	GA_AUTO ga_future *t = NULL;

	body_count = 0;
	t = ga_spawn_with(count_body, NULL, &eagerly);
	HOLDS(body_count == 1);
	HOLDS(ga_done(t) && ga_result(t, NULL) == 0); /* never scheduled */
	return 0;
}

CASE(eager_suspends, "asyncio-task#eager-task-factory",
     "eager start: one that suspends goes on as any task, and its maker goes on at once")
{
	int64_t start = ga_now();
	GA_AUTO ga_future *t = ga_spawn_with(take_nap, (&(struct nap){ 2, 8 }), &eagerly);

	HOLDS(!ga_done(t) && ga_now() == start);
	HOLDS(ga_await(t) == 8);
	HOLDS(ga_now() - start == GA_SECONDS(2));
	return 0;
}

static int tell_self(const void *arg)
{
	*(ga_future **)(uintptr_t) * (const uintptr_t *)arg = ga_self();
	return 0;
}

CASE(eager_self, "asyncio-task#eager-task-factory",
     "eager start: current_task is the new task inside, and the maker again after")
{
	ga_future *me = ga_self(), *inside = NULL;
	uintptr_t at = (uintptr_t)&inside;
	GA_AUTO ga_future *t = ga_spawn_with(tell_self, &at, &eagerly);

	HOLDS(inside == t);
	HOLDS(ga_self() == me);
	return 0;
}

/* ---- sleep ---- */

CASE(sleep_time, "asyncio-task#asyncio.sleep", "sleep: takes its time and returns 0")
{
	int64_t start = ga_now();

	HOLDS(ga_sleep(GA_SECONDS(3)) == 0);
	HOLDS(ga_now() - start == GA_SECONDS(3));
	return 0;
}

CASE(sleep_until, "asyncio-task#asyncio.sleep",
     "sleep: until a deadline; one that has passed is over soon")
{
	int64_t start = ga_now();

	HOLDS(ga_sleep_until(start + GA_SECONDS(2)) == 0);
	HOLDS(ga_now() == start + GA_SECONDS(2));
	HOLDS(ga_sleep_until(start) == 0);
	HOLDS(ga_now() == start + GA_SECONDS(2));
	return 0;
}

static int spin(const void *arg)
{
	const bool *stop = arg;
	int turns = 0;

	while (!*stop && turns < 100000) {
		if (ga_sleep(0) < 0)
			return -EIO;
		turns++;
	}
	return turns < 100000 ? 0 : -ELOOP;
}

static int set_it(const void *arg)
{
	**(bool *const *)arg = true;
	return 0;
}

CASE(sleep_zero, "asyncio-task#asyncio.sleep",
     "sleep: always suspends: with 0 the other tasks have their turn")
{
	bool stop = false, *at = &stop;
	ga_future *f[] = { ga_spawn(spin, &stop), ga_spawn(set_it, &at) };

	HOLDS(ga_gather(f, 2, 0) == 0);
	ga_release_all(f, 2);
	return 0;
}

CASE(sleep_negative, "asyncio-task#asyncio.sleep", "sleep: less than no time is no time")
{
	int64_t start = ga_now();

	HOLDS(ga_sleep(-GA_SECONDS(5)) == 0 && ga_sleep(INT64_MIN) == 0);
	HOLDS(ga_now() == start);
	return 0;
}

struct stamp {
	int64_t delay, woke;
};

static int stamp(const void *arg)
{
	struct stamp *s = *(struct stamp *const *)arg;
	int r = ga_sleep(s->delay);

	s->woke = ga_now();
	return r;
}

CASE(sleep_order, "asyncio-task#asyncio.sleep",
     "sleep: many end each at its time, in whatever order they began")
{
	struct stamp stamps[50], *at[50];
	ga_future *f[50];
	int64_t start = ga_now();

	for (int i = 0; i < 50; i++) {
		stamps[i].delay = GA_MILLISECONDS(i * 37 % 50);
		at[i] = &stamps[i];
		f[i] = ga_spawn(stamp, &at[i]);
	}
	HOLDS(ga_gather(f, 50, 0) == 0);
	for (int i = 0; i < 50; i++)
		HOLDS(stamps[i].woke == start + stamps[i].delay);
	ga_release_all(f, 50);
	return 0;
}

CASE(sleep_future, "spec", "sleep: as a future without a stack, for gather and wait")
{
	ga_future *f[] = { ga_sleep_future(GA_SECONDS(2)), NAP(1, 4), ga_sleep_future(-1) };
	int64_t start = ga_now();

	HOLDS(ga_gather(f, 3, 0) == 0);
	HOLDS(ga_now() - start == GA_SECONDS(2));
	HOLDS(ga_result(f[0], NULL) == 0 && ga_result(f[1], NULL) == 4 && ga_result(f[2], NULL) == 0);
	ga_release_all(f, 3);
	return 0;
}
