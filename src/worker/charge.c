#include "charge.h"
#include "debugging.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

static struct shared_page nobodys;
static struct shared_page *current = &nobodys;
static struct runtime *_Atomic runtime;
_Atomic uint64_t *_Atomic charge_cell = &nobodys.on_cpu;

static _Thread_local bool is_loop;
static _Thread_local bool is_open; /* fatal signals aren't blocked: pools block all, and then no handler is called */
static _Thread_local uint64_t charged; /* of a pool's thread */

static const int fatal_signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS };
static struct sigaction previous[ARRAY_SIZE(fatal_signals)];

/* Let the signal do what it would have done without this handler: again, once it is no longer blocked. */
static void pass_on(int sig)
{
	for (size_t i = 0; i < ARRAY_SIZE(fatal_signals); i++)
		if (fatal_signals[i] == sig)
			(void)sigaction(sig, &previous[i], NULL);
	(void)raise(sig);
}

/* What was sent by another process (the supervisor, to a loop that hangs) may come to any thread and tells nothing. */
static void on_fatal(int sig, siginfo_t *info, void *context)
{
	(void)context;
	if (is_loop && sig == SIGABRT && info->si_code == SI_USER)
		watchdog_write_here(); /* the supervisor's last word to a loop that hangs: it says where */
	if (!is_loop && info->si_code != SI_USER) {
		struct runtime *rt = atomic_load(&runtime);

		/* The loop goes on until all is over, and must not write over it. */
		atomic_store(&charge_cell, &nobodys.on_cpu);
		if (rt)
			atomic_store(&rt->account, &nobodys.on_cpu);
		atomic_store(&current->on_cpu, charged);
		/* It may have been about to write when the cell was moved: the last word is said after that. */
		(void)nanosleep(&(struct timespec){ .tv_nsec = 2 * 1000 * 1000 }, NULL);
		atomic_store(&current->on_cpu, charged);
	}
	pass_on(sig);
}

int charge_install(struct shared_page *page)
{
	struct sigaction action = { .sa_sigaction = on_fatal, .sa_flags = SA_SIGINFO | SA_ONSTACK };

	watchdog_prepare();
	charge_to(page);
	is_loop = true;
	sigfillset(&action.sa_mask);
	for (size_t i = 0; i < ARRAY_SIZE(fatal_signals); i++)
		if (sigaction(fatal_signals[i], &action, &previous[i]) < 0)
			return -errno;
	return 0;
}

void charge_to(struct shared_page *page)
{
	current = page;
	atomic_store(&charge_cell, &page->on_cpu);
	charge(0);
}

void charge_tasks(struct runtime *rt)
{
	atomic_store(&rt->account, atomic_load(&charge_cell));
	atomic_store(&runtime, rt);
}

void charge_thread(uint64_t token)
{
	sigset_t fatal;

	charged = token;
	if (is_open)
		return;
	sigemptyset(&fatal);
	for (size_t i = 0; i < ARRAY_SIZE(fatal_signals); i++)
		sigaddset(&fatal, fatal_signals[i]);
	(void)pthread_sigmask(SIG_UNBLOCK, &fatal, NULL);
	is_open = true;
}
