/* create_subprocess_exec. */
#include "conform.h"
#include <gather/process.h>
#include <signal.h>
#include <string.h>

#define SOON (ga_now() + GA_SECONDS(20))

static int start(const char *script, const struct ga_process_options *options, ga_process **ret_process)
{
	const char *const argv[] = { "/bin/sh", "-c", script, NULL };

	return ga_process_start(argv, options, ret_process);
}

CASE_REAL(status, "asyncio-subprocess#asyncio.subprocess.Process.wait",
	  "process: wait gives the exit status, as often as it is asked")
{
	GA_AUTO_PROCESS ga_process *p = NULL;

	HOLDS(start("exit 7", NULL, &p) == 0);
	HOLDS(ga_process_pid(p) > 0);
	HOLDS(ga_process_wait(p, SOON) == 7);
	HOLDS(ga_process_wait(p, SOON) == 7 && ga_process_status(p) == 7);
	return 0;
}

CASE_REAL(running, "asyncio-subprocess#asyncio.subprocess.Process.returncode",
	  "process: there is no status while it runs")
{
	GA_AUTO_PROCESS ga_process *p = NULL;

	HOLDS(start("exec sleep 60", NULL, &p) == 0);
	HOLDS(ga_process_status(p) == -EINPROGRESS);
	HOLDS(ga_process_wait(p, ga_now() + GA_MILLISECONDS(2)) == -ETIMEDOUT);
	HOLDS(ga_process_status(p) == -EINPROGRESS); /* the wait ended, not the process */
	return 0;
}

CASE_REAL(killed, "asyncio-subprocess#asyncio.subprocess.Process.send_signal",
	  "process: a signal that ends it is told by the status")
{
	GA_AUTO_PROCESS ga_process *p = NULL;
	int status;

	HOLDS(start("exec sleep 60", NULL, &p) == 0);
	HOLDS(ga_process_kill(p, SIGTERM) == 0);
	status = ga_process_wait(p, SOON);
	HOLDS(GA_SIGNALLED(status) == SIGTERM);
	HOLDS(ga_process_kill(p, SIGTERM) == -ESRCH);
	return 0;
}

CASE_REAL(group_killed, "spec", "process: a kill reaches its whole group")
{
	const struct ga_process_options options = { .out = GA_STDIO_PIPE };
	GA_AUTO_PROCESS ga_process *p = NULL;
	char data[4];

	HOLDS(start("sleep 60 & echo; exec sleep 60", &options, &p) == 0);
	HOLDS(ga_stream_read(ga_process_stdout(p), data, 4, SOON) == 1); /* both hold the pipe */
	HOLDS(ga_process_kill(p, SIGKILL) == 0);
	HOLDS(ga_stream_read(ga_process_stdout(p), data, 4, SOON) == 0); /* and are gone */
	HOLDS(GA_SIGNALLED(ga_process_wait(p, SOON)) == SIGKILL);
	return 0;
}

CASE_REAL(none, "asyncio-subprocess#asyncio.create_subprocess_exec",
	  "process: a program that there isn't, or can't be run, is an error of the start")
{
	const char *const none[] = { "/nonexistent/program", NULL }, *const data[] = { "/etc/passwd",
										       NULL };
	ga_process *p = NULL;

	HOLDS(ga_process_start(none, NULL, &p) == -ENOENT && !p);
	HOLDS(ga_process_start(data, NULL, &p) == -EACCES && !p);
	return 0;
}

CASE_REAL(pipes, "asyncio-subprocess#asyncio.subprocess.Process.stdin",
	  "process: standard streams are read and written as streams")
{
	const struct ga_process_options options = { .in = GA_STDIO_PIPE, .out = GA_STDIO_PIPE };
	GA_AUTO_PROCESS ga_process *p = NULL;
	char *line;

	HOLDS(start("exec cat", &options, &p) == 0);
	HOLDS(ga_process_stderr(p) == NULL);
	HOLDS(ga_stream_write(ga_process_stdin(p), "hello\n", 6, SOON) == 0);
	HOLDS(ga_stream_read_until(ga_process_stdout(p), "\n", 100, SOON, &line) == 6);
	HOLDS(!memcmp(line, "hello\n", 6));
	HOLDS(ga_stream_shutdown(ga_process_stdin(p)) == 0);
	HOLDS(ga_process_wait(p, SOON) == 0);
	return 0;
}

CASE_REAL(communicate, "asyncio-subprocess#asyncio.subprocess.Process.communicate",
	  "process: communicate sends the input, reads both outputs to their ends and waits")
{
	const struct ga_process_options options = { .in = GA_STDIO_PIPE,
						    .out = GA_STDIO_PIPE,
						    .err = GA_STDIO_PIPE };
	GA_AUTO_PROCESS ga_process *p = NULL;
	struct ga_output out, err;

	HOLDS(start("cat; echo wrong >&2; exit 3", &options, &p) == 0);
	HOLDS(ga_process_communicate(p, "input", 5, 1000, SOON, &out, &err) == 3);
	HOLDS(out.size == 5 && !strcmp(out.data, "input") && !out.cut);
	HOLDS(err.size == 6 && !strcmp(err.data, "wrong\n") && !err.cut);
	ga_output_free(&out);
	ga_output_free(&err);
	return 0;
}

CASE_REAL(cap, "spec",
	  "process: output beyond the cap is read and dropped, so that the child never waits for room")
{
	const struct ga_process_options options = { .out = GA_STDIO_PIPE };
	GA_AUTO_PROCESS ga_process *p = NULL;
	struct ga_output out;

	HOLDS(start("head -c 1000000 /dev/zero", &options, &p) == 0);
	HOLDS(ga_process_communicate(p, NULL, 0, 1000, SOON, &out, NULL) == 0);
	HOLDS(out.size == 1000 && out.cut);
	ga_output_free(&out);
	return 0;
}

CASE_REAL(unread_input, "asyncio-subprocess#asyncio.subprocess.Process.communicate",
	  "process: a child that doesn't read its input is no error")
{
	const struct ga_process_options options = { .in = GA_STDIO_PIPE };
	static char much[1 << 20];
	GA_AUTO_PROCESS ga_process *p = NULL;

	HOLDS(start("exit 0", &options, &p) == 0);
	HOLDS(ga_process_communicate(p, much, sizeof(much), 0, SOON, NULL, NULL) == 0);
	return 0;
}

CASE_REAL(both_to_one, "asyncio-subprocess#asyncio.subprocess.STDOUT",
	  "process: standard error may go where standard output goes")
{
	const struct ga_process_options options = { .out = GA_STDIO_PIPE, .err = GA_STDIO_TO_STDOUT };
	GA_AUTO_PROCESS ga_process *p = NULL;
	struct ga_output out;

	HOLDS(start("echo a; echo b >&2", &options, &p) == 0);
	HOLDS(ga_process_communicate(p, NULL, 0, 1000, SOON, &out, NULL) == 0);
	HOLDS(out.size == 4 && !strcmp(out.data, "a\nb\n"));
	ga_output_free(&out);
	return 0;
}

static int wait_for_it(const void *arg)
{
	return ga_process_wait(*(ga_process *const *)arg, GA_NEVER);
}

CASE_REAL(wait_cancelled, "asyncio-subprocess#asyncio.subprocess.Process.wait",
	  "process: a cancelled wait leaves it running, and others wait on")
{
	GA_AUTO_PROCESS ga_process *p = NULL;
	ga_future *f[2];

	HOLDS(start("exec sleep 60", NULL, &p) == 0);
	for (int i = 0; i < 2; i++)
		f[i] = ga_spawn(wait_for_it, &p);
	HOLDS(ga_sleep(GA_MILLISECONDS(1)) == 0);
	HOLDS(ga_cancel(f[0]));
	HOLDS(ga_await(f[0]) == -ECANCELED);
	HOLDS(ga_process_status(p) == -EINPROGRESS);
	HOLDS(ga_process_kill(p, SIGKILL) == 0);
	HOLDS(GA_SIGNALLED(ga_await(f[1])) == SIGKILL);
	ga_release_all(f, 2);
	return 0;
}

CASE_REAL(future, "spec", "process: its end is a future without a stack, for gather and wait")
{
	GA_AUTO_PROCESS ga_process *p = NULL, *q = NULL;
	ga_future *f[2];

	HOLDS(start("exit 4", NULL, &p) == 0 && start("exit 5", NULL, &q) == 0);
	f[0] = ga_process_future(p);
	f[1] = ga_process_future(q);
	HOLDS(ga_gather(f, 2, 0) == 0);
	HOLDS(ga_result(f[0], NULL) == 4 && ga_result(f[1], NULL) == 5);
	ga_release_all(f, 2);
	return 0;
}

CASE_REAL(environment, "asyncio-subprocess#asyncio.create_subprocess_exec",
	  "process: starts in the directory and with the environment that it is given")
{
	const char *const env[] = { "WORD=xyzzy", NULL };
	const struct ga_process_options options = { .env = env, .directory = "/", .out = GA_STDIO_PIPE };
	GA_AUTO_PROCESS ga_process *p = NULL;
	struct ga_output out;

	HOLDS(start("pwd; echo $WORD", &options, &p) == 0);
	HOLDS(ga_process_communicate(p, NULL, 0, 1000, SOON, &out, NULL) == 0);
	HOLDS(!strcmp(out.data, "/\nxyzzy\n"));
	ga_output_free(&out);
	return 0;
}

CASE_REAL(loop_goes_on, "asyncio-subprocess#subprocess-and-threads",
	  "process: many run at once while the loop goes on")
{
	ga_process *p[8];
	ga_future *f[8];

	for (int i = 0; i < 8; i++) {
		HOLDS(start("exec sleep 0.02", NULL, &p[i]) == 0);
		f[i] = ga_process_future(p[i]);
	}
	HOLDS(ga_sleep(0) == 0);
	HOLDS(ga_gather(f, 8, 0) == 0);
	ga_release_all(f, 8);
	for (int i = 0; i < 8; i++)
		ga_process_free(p[i]);
	return 0;
}

CASE_REAL(freed, "libgather", "process: freed while it runs, it is killed and reaped")
{
	ga_process *p = NULL;
	ga_future *f;

	HOLDS(start("exec sleep 60", NULL, &p) == 0);
	f = ga_process_future(p);
	ga_process_free(p);
	HOLDS(GA_SIGNALLED(ga_await_until(f, SOON)) == SIGKILL);
	ga_release(f);
	ga_process_free(NULL);
	return 0;
}
