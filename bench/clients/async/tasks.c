/*
 * tasks.c — what tasks of libgather cost: tasks yield|spawn|gather|timeout|queue|lock|executor COUNT
 */
#include "timed.h"
#include <gather/queue.h>
#include <gather/sync.h>

#define AT_ONCE 1000
#define OTHERS 10000
#define CONTENDERS 10

static void check(int r)
{
	if (r < 0)
		figures_fail("%s", strerror(-r));
}

static int nothing(const void *unused)
{
	(void)unused;
	return 0;
}

static int take_turns(const void *arg)
{
	for (unsigned long i = *(const unsigned long *)arg; i > 0; i--)
		check(ga_sleep(0));
	return 0;
}

static void yield(unsigned long count)
{
	unsigned long half = count / 2;
	ga_future *both[] = { ga_spawn(take_turns, &half), ga_spawn(take_turns, &half) };

	check(ga_gather(both, 2, 0));
	ga_release_all(both, 2);
}

static void spawn(unsigned long count)
{
	while (count-- > 0) {
		ga_future *task = ga_spawn(nothing, NULL);

		check(ga_await(task));
		ga_release(task);
	}
}

static void gather(unsigned long count)
{
	ga_future *tasks[AT_ONCE];

	for (; count >= AT_ONCE; count -= AT_ONCE) {
		for (int i = 0; i < AT_ONCE; i++)
			tasks[i] = ga_spawn(nothing, NULL);
		check(ga_gather(tasks, AT_ONCE, 0));
		ga_release_all(tasks, AT_ONCE);
	}
}

/* As around a call that ends in time, while others wait. */
static void timeout(unsigned long count)
{
	static ga_future *others[OTHERS];
	struct ga_timeout scope;

	for (int i = 0; i < OTHERS; i++)
		others[i] = ga_sleep_future(GA_SECONDS(30) + i * 7919 % OTHERS * GA_MILLISECONDS(1));
	while (count-- > 0) {
		check(ga_timeout_enter(&scope, ga_now() + GA_SECONDS(30)));
		check(ga_timeout_exit(&scope, 0));
	}
	ga_release_all(others, OTHERS);
}

static ga_queue *items;

static int put(const void *count)
{
	for (unsigned long i = *(const unsigned long *)count; i > 0; i--)
		check(ga_queue_put(items, &items, GA_NEVER));
	return 0;
}

static void queue(unsigned long count)
{
	const struct ga_queue_options of_one = { .max = 1 };
	ga_future *putting;
	void *item;

	check(ga_queue_new(&of_one, &items));
	putting = ga_spawn(put, &count);
	for (unsigned long i = 0; i < count; i++)
		check(ga_queue_get(items, GA_NEVER, &item));
	check(ga_await(putting));
	ga_release(putting);
	ga_queue_free(items);
}

static struct ga_lock lock;

static int contend(const void *count)
{
	for (unsigned long i = *(const unsigned long *)count; i > 0; i--) {
		check(ga_lock_acquire(&lock, GA_NEVER));
		check(ga_sleep(0));
		check(ga_lock_release(&lock));
	}
	return 0;
}

static void hand_over(unsigned long count)
{
	unsigned long each = count / CONTENDERS;
	ga_future *tasks[CONTENDERS];

	for (int i = 0; i < CONTENDERS; i++)
		tasks[i] = ga_spawn(contend, &each);
	check(ga_gather(tasks, CONTENDERS, 0));
	ga_release_all(tasks, CONTENDERS);
}

static int work(void *unused)
{
	(void)unused;
	return 0;
}

static void executor(unsigned long count)
{
	while (count-- > 0) {
		ga_future *done = ga_executor(GA_POOL_IO, work, NULL);

		check(ga_await(done));
		ga_release(done);
	}
}

static const struct timed_workload workloads[] = {
	{ "yield", yield }, { "spawn", spawn },    { "gather", gather },     { "timeout", timeout },
	{ "queue", queue }, { "lock", hand_over }, { "executor", executor },
};

static char **arguments;

static int run(const void *count)
{
	return timed_main(*(const int *)count, arguments, workloads,
			  sizeof(workloads) / sizeof(workloads[0]));
}

int main(int argc, char **argv)
{
	arguments = argv;
	check(ga_run(run, &argc));
	return 0;
}
