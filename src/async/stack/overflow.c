/*
 * overflow.c — names the task whose stack overflowed, and its place.
 *
 * The fault comes on the overflowing stack, so its handler runs on a signal stack of this thread. It reports and then lets
 * the signal do what it would have done: the fault repeats under the previous disposition.
 */
#include "fiber.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SIGNAL_STACK_BYTES 65536u

static _Thread_local const struct stacks *watched;
static _Thread_local void *signal_stack;
static struct sigaction previous;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int once_result;

static void install(void);
static void on_fault(int sig, siginfo_t *info, void *context);
static void report(const struct fiber *f);

int overflow_watch(const struct stacks *s)
{
	stack_t stack;

	watched = s;
	if (sigaltstack(NULL, &stack) < 0)
		return -errno;
	if (stack.ss_flags & SS_DISABLE) {
		signal_stack = malloc(SIGNAL_STACK_BYTES);
		if (!signal_stack)
			return -ENOMEM;
		stack = (stack_t){ .ss_sp = signal_stack, .ss_size = SIGNAL_STACK_BYTES };
		if (sigaltstack(&stack, NULL) < 0)
			return -errno;
	}
	(void)pthread_once(&once, install);
	return once_result;
}

void overflow_unwatch(void)
{
	const stack_t none = { .ss_flags = SS_DISABLE };

	watched = NULL;
	if (!signal_stack)
		return;
	(void)sigaltstack(&none, NULL);
	free(signal_stack);
	signal_stack = NULL;
}

static void install(void)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK };

	sigemptyset(&action.sa_mask);
	if (sigaction(SIGSEGV, &action, &previous) < 0)
		once_result = -errno;
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
	int saved_errno = errno;
	struct stack stack;

	if (watched && info->si_code > 0 && stacks_find_guard(watched, info->si_addr, &stack))
		report(fiber_on(&stack));
	errno = saved_errno;
	if (previous.sa_flags & SA_SIGINFO) {
		previous.sa_sigaction(sig, info, context);
	} else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
		previous.sa_handler(sig);
	} else {
		(void)sigaction(sig, &previous, NULL);
		if (info->si_code <= 0)
			(void)raise(sig); /* sent by somebody: there is no fault to repeat */
	}
}

/* With write(2) alone: nothing else is safe here. */
static void report(const struct fiber *f)
{
	bool named = f->name && *f->name, placed = f->site && *f->site;
	const char *const parts[] = { "libgather: stack overflow in task ",
				      named ? f->name : "(unnamed)", placed ? ", spawned at " : "",
				      placed ? f->site : "",
				      f->stack.class == 2 ? ": its stack has 256 KiB, the most there is\n"
				      : f->stack.class == 1
					      ? ": its stack has 64 KiB; spawn it with 256 KiB\n"
					      : ": its stack has 16 KiB; spawn it with 64 KiB\n" };
	ssize_t ignored;

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		ignored = write(STDERR_FILENO, parts[i], strlen(parts[i]));
		(void)ignored;
	}
}
