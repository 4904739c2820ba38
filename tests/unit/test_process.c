/* Processes: start, exec's errors, what a child inherits, its end, its group, the loop's end. */
#include "process_check.h"
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

REAL_CASE(a_program_is_found_in_path_and_its_exit_status_returned)
{
	EXPECT(shell("exit 0", NULL) == 0);
	EXPECT(shell("exit 7", NULL) == 7);
	EXPECT(shell("exit 255", NULL) == 255);
	EXPECT(GA_SIGNALLED(255) == 0 && GA_SIGNALLED(-ECHILD) == 0);
	return 0;
}

REAL_CASE(a_signal_that_killed_it_is_told_apart_from_any_exit_status)
{
	int status = shell("kill -KILL $$", NULL);

	EXPECT(status > 255 && GA_SIGNALLED(status) == SIGKILL);
	EXPECT(shell("exit 137", NULL) == 137);
	EXPECT(GA_SIGNALLED(shell("kill -TERM $$", NULL)) == SIGTERM);
	return 0;
}

static int start_file(const char *path)
{
	const char *const argv[] = { path, NULL };
	ga_process *p;

	return ga_process_start(argv, NULL, &p);
}

REAL_CASE(errors_of_exec_are_returned)
{
	const struct ga_process_options nowhere = { .directory = "/nonexistent" },
					bad_fd = { .out = GA_STDIO_FD, .out_fd = 9999 },
					no_fd = { .in = GA_STDIO_FD, .in_fd = -1 },
					bad_out = { .out = GA_STDIO_TO_STDOUT },
					bad_kind = { .err = (enum ga_stdio)77 };
	static const char *const nothing[] = { NULL };
	char path[] = "/tmp/test_process_XXXXXX";
	int fd = mkstemp(path);
	ga_process *p;

	EXPECT(start_file("no-such-program-anywhere") == -ENOENT);
	EXPECT(start_file("/no/such/file") == -ENOENT);
	EXPECT(start_file("") == -ENOENT);
	EXPECT(start_file("/dev/null") == -EACCES);
	EXPECT(fd >= 0 && write(fd, "what?\n", 6) == 6 && fchmod(fd, 0700) == 0 && close(fd) == 0);
	EXPECT(start_file(path) == -ENOEXEC);
	EXPECT(unlink(path) == 0);
	EXPECT(start_shell("true", &nowhere, &p) == -ENOENT);
	EXPECT(start_shell("true", &bad_fd, &p) == -EBADF);
	EXPECT(start_shell("true", &no_fd, &p) == -EBADF);
	EXPECT(start_shell("true", &bad_out, &p) == -EINVAL);
	EXPECT(start_shell("true", &bad_kind, &p) == -EINVAL);
	EXPECT(ga_process_start(nothing, NULL, &p) == -EINVAL);
	EXPECT(ga_process_start(NULL, NULL, &p) == -EINVAL);
	EXPECT(!has_children());
	return 0;
}

/* The first that is there and can't be run tells more than the last that is missing. */
REAL_CASE(the_path_searched_is_that_of_the_environment_given)
{
	static const char *const empty[] = { "A=1", NULL };
	static const char *const elsewhere[] = { "PATH=/nonexistent:/proc", NULL };
	static const char *const denied[] = { "PATH=/dev:/nonexistent", NULL };
	static const char *const here[] = { "B=2", "PATH=/nonexistent::/bin", NULL };
	static const char *const null[] = { "null", NULL };
	ga_process *p;

	EXPECT(shell("test $A = 1", &(struct ga_process_options){ .env = empty }) == 0);
	EXPECT(shell("true", &(struct ga_process_options){ .env = elsewhere }) == -ENOENT);
	EXPECT(shell("test $B = 2 -a -z \"$HOME\"", &(struct ga_process_options){ .env = here }) == 0);
	EXPECT(ga_process_start(null, &(struct ga_process_options){ .env = denied }, &p) == -EACCES);
	return 0;
}

REAL_CASE(a_child_starts_in_the_directory_given)
{
	const struct ga_process_options o = { .directory = "/proc/self" };

	EXPECT(shell("test $(pwd -P) = /proc/$$ -o $(pwd -P) != /", &o) == 0);
	EXPECT(shell("test -e status", &o) == 0);
	EXPECT(shell("test -e status", NULL) == 1);
	return 0;
}

REAL_CASE(a_child_inherits_no_descriptor_but_three)
{
	int a = dup(0), b = fcntl(0, F_DUPFD, 200);
	char script[100];

	EXPECT(a > 2 && b >= 200);
	snprintf(script, sizeof(script), "test -e /proc/$$/fd/%d -o -e /proc/$$/fd/%d", a, b);
	EXPECT(shell(script, NULL) == 1);
	close(a);
	close(b);
	return 0;
}

REAL_CASE(a_childs_signals_are_neither_blocked_nor_ignored)
{
	GA_AUTO ga_future *caught = ga_signal_future(SIGUSR2);
	sigset_t some, before;

	sigemptyset(&some);
	sigaddset(&some, SIGUSR1);
	sigaddset(&some, SIGRTMIN);
	EXPECT(sigprocmask(SIG_BLOCK, &some, &before) == 0);
	signal(SIGHUP, SIG_IGN);
	EXPECT(shell("grep -q '^SigBlk:[^1-9]*$' /proc/self/status", NULL) == 0);
	EXPECT(shell("grep -q '^SigIgn:[^1-9a-f]*$' /proc/self/status", NULL) == 0);
	signal(SIGHUP, SIG_DFL);
	EXPECT(sigprocmask(SIG_SETMASK, &before, &some) == 0);
	EXPECT(sigismember(&some, SIGUSR1)); /* ours is as it was */
	return 0;
}

REAL_CASE(a_child_leads_a_session_or_a_group_of_its_own)
{
	const struct ga_process_options same = { .same_session = true };
	GA_AUTO_PROCESS ga_process *p = NULL, *q = NULL;

	EXPECT(start_shell("sleep 100", NULL, &p) == 0);
	EXPECT(getsid(ga_process_pid(p)) == ga_process_pid(p));
	EXPECT(getpgid(ga_process_pid(p)) == ga_process_pid(p));
	EXPECT(start_shell("sleep 100", &same, &q) == 0);
	EXPECT(getsid(ga_process_pid(q)) == getsid(0));
	EXPECT(getpgid(ga_process_pid(q)) == ga_process_pid(q));
	return 0;
}

REAL_CASE(its_descriptors_are_what_was_asked_for)
{
	int fds[2];
	struct ga_process_options o = { .in = GA_STDIO_NULL,
					.out = GA_STDIO_FD,
					.err = GA_STDIO_TO_STDOUT };
	GA_AUTO_PROCESS ga_process *p = NULL;
	char text[64] = "";

	EXPECT(pipe2(fds, O_CLOEXEC) == 0);
	o.out_fd = fds[1];
	EXPECT(start_shell("cat; echo out; echo err >&2", &o, &p) == 0);
	EXPECT(!ga_process_stdin(p) && !ga_process_stdout(p) && !ga_process_stderr(p));
	EXPECT(ga_process_wait(p, SOON) == 0);
	EXPECT(read(fds[0], text, sizeof(text) - 1) == 8 && !strcmp(text, "out\nerr\n"));
	close(fds[0]);
	close(fds[1]); /* was borrowed */
	return 0;
}

static int talk_without_stdio(const void *unused GA_UNUSED)
{
	struct ga_output out, err;
	GA_AUTO_PROCESS ga_process *p = NULL;
	int r = start_shell("cat; echo err >&2", &all_pipes, &p);

	if (r < 0)
		return 1;
	if (ga_process_communicate(p, "in", 2, 100, SOON, &out, &err) != 0)
		return 2;
	r = strcmp(out.data, "in") || strcmp(err.data, "err\n") ? 3 : 0;
	ga_output_free(&out);
	ga_output_free(&err);
	return r;
}

/* What ga_run() returns in a forked process, as an exit status. */
static int in_fork(ga_coroutine_fn body, void (*prepare)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		prepare();
		_exit(ga_run(body, NULL) & 255);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void close_stdio(void)
{
	for (int fd = 0; fd < 3; fd++)
		close(fd);
}

/* Then the pipes themselves have the numbers 0, 1 and 2. */
static void a_program_without_standard_descriptors_can_start_children(void **state GA_UNUSED)
{
	assert_int_equal(in_fork(talk_without_stdio, close_stdio), 0);
}

static int swap_outputs(const void *unused GA_UNUSED)
{
	const struct ga_process_options o = {
		.out = GA_STDIO_FD, .out_fd = 2, .err = GA_STDIO_FD, .err_fd = 1
	};
	char text[8] = "";
	int a[2], b[2];

	if (pipe2(a, O_CLOEXEC) < 0 || pipe2(b, O_CLOEXEC) < 0 || dup2(a[1], 1) < 0 || dup2(b[1], 2) < 0)
		return 1;
	if (shell("printf out; printf err >&2", &o) != 0)
		return 2;
	if (read(a[0], text, sizeof(text)) != 3 || memcmp(text, "err", 3))
		return 3;
	if (read(b[0], text, sizeof(text)) != 3 || memcmp(text, "out", 3))
		return 4;
	return shell("exit 0", &(struct ga_process_options){ .out = GA_STDIO_FD, .out_fd = 1 });
}

static void prepare_nothing(void)
{
}

static void standard_descriptors_may_be_given_in_any_order(void **state GA_UNUSED)
{
	assert_int_equal(in_fork(swap_outputs, prepare_nothing), 0);
}

/* waitid(P_PIDFD) fails as before Linux 5.4. */
static void forget_pidfds(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_waitid, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, P_PIDFD, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { ARRAY_SIZE(code), code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		_exit(200);
}

static int start_any(const void *unused GA_UNUSED)
{
	ga_process *p;

	return start_shell("true", NULL, &p) == -ENOSYS ? 0 : 1;
}

static void a_kernel_without_pidfds_is_enosys(void **state GA_UNUSED)
{
	int status = in_fork(start_any, forget_pidfds);

	if (status == 200)
		TAP_SKIP("no seccomp here");
	assert_int_equal(status, 0);
}

REAL_CASE(a_wait_that_times_out_leaves_the_process)
{
	GA_AUTO_PROCESS ga_process *p = NULL;

	EXPECT(start_shell("exec sleep 100", NULL, &p) == 0);
	EXPECT(ga_process_wait(p, ga_now() + GA_MILLISECONDS(5)) == -ETIMEDOUT);
	EXPECT(ga_process_wait(p, 0) == -ETIMEDOUT);
	EXPECT(ga_process_status(p) == -EINPROGRESS);
	EXPECT(ga_process_kill(p, 0) == 0);
	EXPECT(ga_process_kill(p, SIGTERM) == 0);
	EXPECT(GA_SIGNALLED(ga_process_wait(p, SOON)) == SIGTERM);
	EXPECT(GA_SIGNALLED(ga_process_status(p)) == SIGTERM);
	EXPECT(GA_SIGNALLED(ga_process_wait(p, 0)) == SIGTERM); /* it is known */
	EXPECT(ga_process_kill(p, SIGTERM) == -ESRCH);
	return 0;
}

static int wait_for(const void *p)
{
	return ga_process_wait(*(ga_process *const *)p, GA_NEVER);
}

REAL_CASE(a_cancelled_wait_leaves_the_process)
{
	GA_AUTO_PROCESS ga_process *p = NULL;
	GA_AUTO ga_future *task = NULL, *end = NULL;

	EXPECT(start_shell("exec sleep 100", NULL, &p) == 0);
	task = ga_spawn(wait_for, &p);
	end = ga_process_future(p);
	EXPECT(one_turn() == 0 && ga_cancel(task) && ga_await(task) == -ECANCELED);
	EXPECT(ga_cancel(end) && ga_await(end) == -ECANCELED);
	EXPECT(ga_process_kill(p, 0) == 0 && ga_process_status(p) == -EINPROGRESS);
	return 0;
}

REAL_CASE(gather_takes_the_futures_of_processes)
{
	ga_process *p[3];
	ga_future *ends[3];
	char script[16];

	for (int i = 0; i < 3; i++) {
		snprintf(script, sizeof(script), "exit %d", i * 10);
		EXPECT(start_shell(script, NULL, &p[i]) == 0);
		ends[i] = ga_process_future(p[i]);
	}
	EXPECT(ga_gather(ends, 3, 0) == 0);
	for (int i = 0; i < 3; i++) {
		GA_AUTO ga_future *late = ga_process_future(p[i]);

		EXPECT(ga_result(ends[i], NULL) == i * 10);
		EXPECT(ga_done(late) && ga_await(late) == i * 10);
		ga_process_free(p[i]);
	}
	ga_release_all(ends, 3);
	return 0;
}

REAL_CASE(freed_while_it_runs_it_is_killed_with_its_group_and_reaped)
{
	int fds[2];
	struct ga_process_options o = { .out = GA_STDIO_FD };
	GA_AUTO ga_future *end = NULL;
	struct pollfd still = { .events = POLLIN };
	ga_process *p;
	char byte;

	EXPECT(pipe2(fds, O_CLOEXEC) == 0);
	o.out_fd = fds[1];
	EXPECT(start_shell("(sleep 100 & sleep 100) & sleep 100", &o, &p) == 0);
	close(fds[1]);
	still.fd = fds[0];
	end = ga_process_future(p);
	EXPECT(ga_sleep(GA_MILLISECONDS(20)) == 0 && poll(&still, 1, 0) == 0);
	ga_process_free(p);
	EXPECT(GA_SIGNALLED(ga_await(end)) == SIGKILL); /* who waits is told */
	EXPECT(!has_children());
	EXPECT(read(fds[0], &byte, 1) == 0); /* nobody has it open any more */
	close(fds[0]);
	return 0;
}

REAL_CASE(what_is_left_of_a_group_is_killed_when_the_ended_process_is_freed)
{
	int fds[2];
	struct ga_process_options o = { .out = GA_STDIO_FD };
	ga_process *p;
	char byte;

	EXPECT(pipe2(fds, O_CLOEXEC) == 0);
	o.out_fd = fds[1];
	EXPECT(start_shell("sleep 100 & sleep 100 & exit 3", &o, &p) == 0);
	close(fds[1]);
	EXPECT(ga_process_wait(p, SOON) == 3);
	ga_process_free(p);
	EXPECT(!has_children());
	EXPECT(read(fds[0], &byte, 1) == 0);
	close(fds[0]);
	return 0;
}

static ga_process *left_running, *left_ended, *left_freed;

static int leave_processes(const void *unused GA_UNUSED)
{
	EXPECT(start_shell("trap '' TERM INT; sleep 100", &all_pipes, &left_running) == 0);
	EXPECT(start_shell("exit 4", &all_pipes, &left_ended) == 0);
	EXPECT(ga_process_wait(left_ended, SOON) == 4);
	EXPECT(start_shell("sleep 100", &all_pipes, &left_freed) == 0);
	ga_process_free(left_freed);
	return 0;
}

static void a_loop_that_ends_kills_and_reaps_what_it_started(void **state GA_UNUSED)
{
	run_real(leave_processes);
	assert_int_equal(GA_SIGNALLED(ga_process_status(left_running)), SIGKILL);
	assert_int_equal(ga_process_status(left_ended), 4);
	assert_int_equal(ga_process_kill(left_running, SIGTERM), -ESRCH);
	assert_null(ga_process_stdin(left_running));
	ga_process_free(left_running);
	ga_process_free(left_ended);
	ga_process_free(NULL);
}

static int late_result;

static void on_late(ga_future *f GA_UNUSED, void *arg)
{
	ga_process *p;

	*(int *)arg = start_shell("true", NULL, &p);
}

static int start_at_the_end(const void *unused GA_UNUSED)
{
	GA_AUTO ga_future *end = NULL;
	GA_AUTO_PROCESS ga_process *p = NULL;

	EXPECT(start_shell("sleep 100", NULL, &left_running) == 0);
	end = ga_process_future(left_running);
	EXPECT(ga_on_done(end, on_late, &late_result) == 0); /* it ends after everything else */
	return 0;
}

static void none_starts_once_the_loop_has_closed(void **state GA_UNUSED)
{
	run_real(start_at_the_end);
	assert_int_equal(late_result, -ECANCELED);
	ga_process_free(left_running);
}

static atomic_int own_sigchlds;

static void on_own_sigchld(int sig GA_UNUSED)
{
	atomic_fetch_add(&own_sigchlds, 1);
}

REAL_CASE(the_programs_own_children_and_its_sigchld_are_untouched)
{
	struct sigaction after;
	pid_t own;
	int status;

	signal(SIGCHLD, on_own_sigchld);
	own = fork();
	if (own == 0)
		_exit(9);
	EXPECT(shell("exit 1", NULL) == 1);
	EXPECT(sigaction(SIGCHLD, NULL, &after) == 0 && after.sa_handler == on_own_sigchld);
	EXPECT(waitpid(own, &status, 0) == own && WEXITSTATUS(status) == 9);
	EXPECT(atomic_load(&own_sigchlds) >= 1);
	signal(SIGCHLD, SIG_DFL);
	return 0;
}

REAL_CASE(a_status_that_the_program_took_is_echild)
{
	GA_AUTO_PROCESS ga_process *ignored = NULL, *taken = NULL;
	int status;

	signal(SIGCHLD, SIG_IGN);
	EXPECT(start_shell("exit 1", NULL, &ignored) == 0);
	EXPECT(ga_process_wait(ignored, SOON) == -ECHILD);
	EXPECT(start_file("/no/such/file") == -ENOENT);
	signal(SIGCHLD, SIG_DFL);
	EXPECT(ga_process_kill(ignored, SIGTERM) == -ESRCH);
	EXPECT(start_shell("exit 1", NULL, &taken) == 0);
	EXPECT(waitpid(-1, &status, 0) == ga_process_pid(taken));
	EXPECT(ga_process_wait(taken, SOON) == -ECHILD);
	return 0;
}

static int die_with_a_child(const void *arg)
{
	const struct ga_process_options o = { .out = GA_STDIO_FD,
					      .out_fd = *(const int *)arg,
					      .parent_death_signal = SIGKILL };
	ga_process *p;

	if (start_shell("echo $$; exec sleep 100", &o, &p) == 0)
		(void)raise(SIGKILL);
	return 1;
}

static void a_child_may_be_made_to_die_with_its_parent(void **state GA_UNUSED)
{
	char text[32];
	int fds[2], status;
	ssize_t n = 1;
	pid_t pid;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(ga_run(die_with_a_child, &fds[1]) & 255);
	close(fds[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	while (n > 0) /* to the end: the sleeper is gone, too */
		n = read(fds[0], text, sizeof(text));
	assert_int_equal(n, 0);
	close(fds[0]);
}

static int start_one_more(const void *unused GA_UNUSED)
{
	GA_AUTO_PROCESS ga_process *p = NULL;
	int r = start_shell("true", NULL, &p);

	return r == -EAGAIN ? 0 : 1;
}

static void allow_no_more_processes(void)
{
	const struct rlimit none = { 0, 0 };

	if (setrlimit(RLIMIT_NPROC, &none) < 0 ||
	    (geteuid() == 0 && setresuid(54321, 54321, 54321) < 0))
		_exit(200);
}

static void over_the_limit_of_processes_is_eagain(void **state GA_UNUSED)
{
	assert_int_equal(in_fork(start_one_more, allow_no_more_processes), 0);
}

static int start_outside(void)
{
	ga_process *p;

	return start_shell("true", NULL, &p);
}

static void without_a_loop_it_is_eperm(void **state GA_UNUSED)
{
	assert_int_equal(start_outside(), -EPERM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_program_is_found_in_path_and_its_exit_status_returned),
		cmocka_unit_test(a_signal_that_killed_it_is_told_apart_from_any_exit_status),
		cmocka_unit_test(errors_of_exec_are_returned),
		cmocka_unit_test(the_path_searched_is_that_of_the_environment_given),
		cmocka_unit_test(a_child_starts_in_the_directory_given),
		cmocka_unit_test(a_child_inherits_no_descriptor_but_three),
		cmocka_unit_test(a_childs_signals_are_neither_blocked_nor_ignored),
		cmocka_unit_test(a_child_leads_a_session_or_a_group_of_its_own),
		cmocka_unit_test(its_descriptors_are_what_was_asked_for),
		cmocka_unit_test(a_program_without_standard_descriptors_can_start_children),
		cmocka_unit_test(standard_descriptors_may_be_given_in_any_order),
		cmocka_unit_test(a_kernel_without_pidfds_is_enosys),
		cmocka_unit_test(a_wait_that_times_out_leaves_the_process),
		cmocka_unit_test(a_cancelled_wait_leaves_the_process),
		cmocka_unit_test(gather_takes_the_futures_of_processes),
		cmocka_unit_test(freed_while_it_runs_it_is_killed_with_its_group_and_reaped),
		cmocka_unit_test(what_is_left_of_a_group_is_killed_when_the_ended_process_is_freed),
		cmocka_unit_test(a_loop_that_ends_kills_and_reaps_what_it_started),
		cmocka_unit_test(none_starts_once_the_loop_has_closed),
		cmocka_unit_test(the_programs_own_children_and_its_sigchld_are_untouched),
		cmocka_unit_test(a_status_that_the_program_took_is_echild),
		cmocka_unit_test(a_child_may_be_made_to_die_with_its_parent),
		cmocka_unit_test(over_the_limit_of_processes_is_eagain),
		cmocka_unit_test(without_a_loop_it_is_eperm),
	};

	return TAP_RUN(tests);
}
