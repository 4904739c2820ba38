#include "shim.h"
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FAULT_KILL 10000

static unsigned wanted; /* calls of these kinds are counted; 0: none */
static unsigned long long nth;
static int error_number;
static bool stays;
static _Atomic unsigned long long count;

static int error_by_name(const char *name)
{
	static const struct {
		const char *name;
		int number;
	} errors[] = { { "EIO", EIO },        { "ENOSPC", ENOSPC }, { "EDQUOT", EDQUOT },
		       { "EMFILE", EMFILE },  { "EROFS", EROFS },   { "short", SHIM_SHORT },
		       { "kill", FAULT_KILL } };

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (strcmp(errors[i].name, name) == 0)
			return errors[i].number;
	return 0;
}

static unsigned calls_by_name(const char *name)
{
	static const struct {
		const char *name;
		unsigned calls;
	} kinds[] = { { "open", CALLS_OPEN },     { "write", CALLS_WRITE }, { "sync", CALLS_SYNC },
		      { "resize", CALLS_RESIZE }, { "name", CALLS_NAME },   { "any", ~0u } };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i].name, name) == 0)
			return kinds[i].calls;
	return 0;
}

__attribute__((constructor)) static void set_up(void)
{
	const char *text = getenv(SHIM_FAULT_VARIABLE);
	char calls[16], error[16], stay[8] = "";

	if (!text)
		return;
	if (sscanf(text, "%15[^:]:%llu:%15[^:]:%7s", calls, &nth, error, stay) < 3 ||
	    !calls_by_name(calls) || !error_by_name(error)) {
		fprintf(stderr, "shim: %s=%s: not a fault\n", SHIM_FAULT_VARIABLE, text);
		exit(2);
	}
	error_number = error_by_name(error);
	stays = strcmp(stay, "stay") == 0;
	wanted = calls_by_name(calls);
}

int shim_fault(enum shim_calls calls, const char *what)
{
	if (!(wanted & calls))
		return 0;
	unsigned long long n = atomic_fetch_add(&count, 1) + 1;

	if (n < nth || (n > nth && !stays))
		return 0;
	/* Half of a call that writes nothing is an error like any. */
	int error = error_number == SHIM_SHORT && calls != CALLS_WRITE ? EIO : error_number;

	if (error == FAULT_KILL)
		kill(getpid(), SIGKILL);
	shim_write_record(SHIM_FAULT, 0, n, (uint64_t)(unsigned)error, what, strlen(what));
	return error;
}
