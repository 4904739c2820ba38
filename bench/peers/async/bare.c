/*
 * bare.c — what the system itself takes: bare ucontext|pthread_switch|pthread_spawn|timerfd|handover|pthread_sleeps COUNT
 */
#include "timed.h"
#include <pthread.h>
#include <semaphore.h>
#include <sys/timerfd.h>
#include <ucontext.h>
#include <unistd.h>

static void check(int error)
{
	if (error)
		figures_fail("%s", strerror(error));
}

static ucontext_t outside, inside;

static void switch_back(void)
{
	for (;;)
		swapcontext(&inside, &outside);
}

static void ucontext(unsigned long count)
{
	static char stack[65536];

	getcontext(&inside);
	inside.uc_stack.ss_sp = stack;
	inside.uc_stack.ss_size = sizeof(stack);
	makecontext(&inside, switch_back, 0);
	for (unsigned long i = 0; i < count / 2; i++)
		swapcontext(&outside, &inside);
}

static sem_t turn[2];
static unsigned long turns;

static void *take_turns(void *arg)
{
	int me = *(int *)arg;

	for (unsigned long i = 0; i < turns; i++) {
		sem_wait(&turn[me]);
		sem_post(&turn[!me]);
	}
	return NULL;
}

/* Two threads take turns. */
static void pthread_switch(unsigned long count)
{
	int first = 0, second = 1;
	pthread_t other;

	turns = count / 2;
	sem_init(&turn[0], 0, 1);
	sem_init(&turn[1], 0, 0);
	check(pthread_create(&other, NULL, take_turns, &second));
	take_turns(&first);
	pthread_join(other, NULL);
}

static void *nothing(void *arg)
{
	return arg;
}

static void pthread_spawn(unsigned long count)
{
	pthread_t thread;

	while (count-- > 0) {
		check(pthread_create(&thread, NULL, nothing, NULL));
		pthread_join(thread, NULL);
	}
}

static void timerfd(unsigned long count)
{
	const struct itimerspec in_30_s = { .it_value = { .tv_sec = 30 } }, off = { 0 };
	int fd = timerfd_create(CLOCK_MONOTONIC, 0);

	for (unsigned long i = 0; i < count; i++)
		if (timerfd_settime(fd, 0, &in_30_s, NULL) < 0 || timerfd_settime(fd, 0, &off, NULL) < 0)
			figures_fail("timerfd_settime");
	close(fd);
}

/* To a thread that waits, and back. */
static void handover(unsigned long count)
{
	pthread_switch(2 * count);
}

static void *sleep_a_second(void *unused)
{
	const struct timespec second = { .tv_sec = 1 };

	nanosleep(&second, NULL);
	return unused;
}

static void pthread_sleeps(unsigned long count)
{
	pthread_t *all = malloc(count * sizeof(*all));
	int64_t started = figures_now();
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 65536);
	for (unsigned long i = 0; i < count; i++)
		check(pthread_create(&all[i], &attr, sleep_a_second, NULL));
	for (unsigned long i = 0; i < count; i++)
		pthread_join(all[i], NULL);
	timed_print(count, started);
	free(all);
}

int main(int argc, char **argv)
{
	static const struct timed_workload workloads[] = {
		{ "ucontext", ucontext },           { "pthread_switch", pthread_switch },
		{ "pthread_spawn", pthread_spawn }, { "timerfd", timerfd },
		{ "handover", handover },
	};

	if (argc == 3 && strcmp(argv[1], "pthread_sleeps") == 0) {
		pthread_sleeps(strtoul(argv[2], NULL, 10));
		return 0;
	}
	return timed_main(argc, argv, workloads, sizeof(workloads) / sizeof(workloads[0]));
}
