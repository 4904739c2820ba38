/*
 * process_check.h — for tests of child processes: real time, and what must not be left behind.
 */
#pragma once
#include "async_check.h"
#include "tap_main.h"
#include <dirent.h>
#include <gather/process.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SOON (ga_now() + GA_SECONDS(20))

/* Children of this process, dead or alive, are left? */
static inline bool has_children(void)
{
	siginfo_t info;

	return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

static inline int count_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int count = 0;

	while (d && readdir(d))
		count++;
	if (d)
		closedir(d);
	return count;
}

static inline void run_real(ga_coroutine_fn body)
{
	int before = count_descriptors();

	assert_int_equal(ga_run(body, NULL), 0);
	assert_false(has_children());
	assert_int_equal(count_descriptors(), before);
}

/* A unit test that runs the coroutine NAME_body in real time, and looks for children and descriptors after it. */
#define REAL_CASE(name)                                                                            \
	static int name##_body(const void *arg GA_UNUSED);                                         \
	static void name(void **state GA_UNUSED)                                                   \
	{                                                                                          \
		run_real(name##_body);                                                             \
	}                                                                                          \
	static int name##_body(const void *arg GA_UNUSED)

static inline int start_shell(const char *script, const struct ga_process_options *o, ga_process **ret_p)
{
	const char *const argv[] = { "sh", "-c", script, NULL };

	return ga_process_start(argv, o, ret_p);
}

/* The status of a script, or why it has none. */
static inline int shell(const char *script, const struct ga_process_options *o)
{
	GA_AUTO_PROCESS ga_process *p = NULL;
	int r = start_shell(script, o, &p);

	return r < 0 ? r : ga_process_wait(p, SOON);
}

static const struct ga_process_options all_pipes = { .in = GA_STDIO_PIPE,
						     .out = GA_STDIO_PIPE,
						     .err = GA_STDIO_PIPE };
