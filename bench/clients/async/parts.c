/*
 * parts.c — what the parts beneath libgather's tasks cost, by its internal interfaces: parts switch|timer COUNT
 *
 * switch: from one stack to another, by the bare assembly. timer: arm and cancel one of the loop's timers, as each call with a
 * deadline does, while 10,000 others are set.
 */
#include "clock.h"
#include "loop.h"
#include "switch.h"
#include "timed.h"

#define OTHERS 10000

static struct context outside, inside;

static void switch_back(void *unused)
{
	(void)unused;
	for (;;)
		context_switch(&inside, &outside);
}

static void switch_stacks(unsigned long count)
{
	static char stack[65536] __attribute__((aligned(64)));

	context_make(&inside, stack, sizeof(stack), switch_back, NULL);
	for (unsigned long i = 0; i < count / 2; i++)
		context_switch(&outside, &inside);
}

static void never(struct loop_timer *t)
{
	(void)t;
	figures_fail("a timer fired");
}

static void set(struct loop *l, struct loop_timer *t, int64_t due)
{
	if (loop_timer_set(l, t, due) < 0)
		figures_fail("out of memory");
}

static void timer(unsigned long count)
{
	static struct loop_timer others[OTHERS];
	struct loop_timer t;
	struct loop *l;
	int64_t due;

	if (loop_new(NULL, &l) < 0)
		figures_fail("no loop");
	due = loop_now(l) + 30 * NSEC_PER_SEC;
	for (int i = 0; i < OTHERS; i++) {
		loop_timer_init(&others[i], never, NULL);
		set(l, &others[i], due + i * 7919 % OTHERS * (NSEC_PER_SEC / 1000));
	}
	loop_timer_init(&t, never, NULL);
	for (unsigned long i = 0; i < count; i++) {
		set(l, &t, due + (int64_t)(i % OTHERS) * (NSEC_PER_SEC / 1000));
		loop_timer_stop(l, &t);
	}
	for (int i = 0; i < OTHERS; i++)
		loop_timer_stop(l, &others[i]);
	loop_free(l);
}

int main(int argc, char **argv)
{
	static const struct timed_workload workloads[] = { { "switch", switch_stacks },
							   { "timer", timer } };

	return timed_main(argc, argv, workloads, sizeof(workloads) / sizeof(workloads[0]));
}
