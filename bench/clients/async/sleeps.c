/*
 * sleeps.c — COUNT sleeps of one second at once: sleeps task|future COUNT
 *
 * As tasks, each with a stack, or as stackless futures.
 */
#include "timed.h"
#include <gather/async.h>

static unsigned long count;

static int sleep_task(const void *unused)
{
	(void)unused;
	return ga_sleep(GA_SECONDS(1));
}

static int tasks(const void *unused)
{
	ga_future **all = malloc(count * sizeof(ga_future *));
	int r = 0;

	(void)unused;
	for (unsigned long i = 0; i < count; i++)
		all[i] = ga_spawn(sleep_task, NULL);
	for (unsigned long i = 0; i < count && r == 0; i++)
		r = ga_await(all[i]);
	ga_release_all(all, count);
	free(all);
	return r;
}

static int futures(const void *unused)
{
	ga_future **all = malloc(count * sizeof(ga_future *));
	int r;

	(void)unused;
	for (unsigned long i = 0; i < count; i++)
		all[i] = ga_sleep_future(GA_SECONDS(1));
	r = ga_gather(all, count, 0);
	ga_release_all(all, count);
	free(all);
	return r;
}

int main(int argc, char **argv)
{
	int64_t started = figures_now();
	int r;

	if (argc != 3 || (count = strtoul(argv[2], NULL, 10)) == 0)
		figures_fail("usage: sleeps task|future COUNT");
	r = ga_run(strcmp(argv[1], "task") == 0 ? tasks : futures, NULL);
	if (r < 0)
		figures_fail("%s", strerror(-r));
	timed_print(count, started);
	return 0;
}
