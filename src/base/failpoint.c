#include "failpoint.h"
#include "compiler.h"
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { POINT_LIMIT = 16, EXIT_STATUS = 70, SLEEP_US = 100000 };

struct point {
	char name[48];
	char action[16];
	unsigned long count;
	atomic_ulong passed;
};

static struct point points[POINT_LIMIT];
static size_t point_count;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void read_points(const char *text)
{
	int used = 0;

	point_count = 0;
	while (text && *text && point_count < POINT_LIMIT) {
		struct point *p = &points[point_count];

		if (sscanf(text, "%47[^:]:%lu:%15[^,]%n", p->name, &p->count, p->action, &used) != 3)
			return;
		atomic_store(&p->passed, 0);
		point_count++;
		text += used;
		if (*text == ',')
			text++;
	}
}

static void read_environment(void)
{
	read_points(getenv("GATHER_FAILPOINT"));
}

void failpoint_set(const char *text)
{
	pthread_once(&once, read_environment);
	read_points(text);
}

static struct point *point_find(const char *name)
{
	pthread_once(&once, read_environment);
	for (size_t i = 0; i < point_count; i++) {
		if (strcmp(points[i].name, name) == 0)
			return &points[i];
	}
	return NULL;
}

static void act(const char *action)
{
	if (strcmp(action, "kill") == 0)
		kill(getpid(), SIGKILL);
	else if (strcmp(action, "killall") == 0)
		kill(0, SIGKILL);
	else if (strcmp(action, "abort") == 0)
		abort();
	else if (strcmp(action, "exit") == 0)
		_exit(EXIT_STATUS);
	else if (strcmp(action, "stop") == 0)
		kill(getpid(), SIGSTOP);
	else if (strcmp(action, "sleep") == 0)
		usleep(SLEEP_US);
}

bool failpoint_fails(const char *name)
{
	struct point *p = point_find(name);
	unsigned long passed;

	if (!p)
		return false;
	passed = atomic_fetch_add(&p->passed, 1) + 1;
	if (strcmp(p->action, "broken") == 0)
		return passed >= p->count;
	if (passed != p->count)
		return false;
	act(p->action);
	return strcmp(p->action, "fail") == 0;
}

void failpoint_pass(const char *name)
{
	(void)failpoint_fails(name);
}
