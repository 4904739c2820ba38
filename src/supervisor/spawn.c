#include "spawn.h"
#include "cpu.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sysexits.h>
#include <unistd.h>

/* Room for the role's arguments as text. */
struct command {
	char slot[16], cpu[16], incarnation[24], listeners[16], parent[16], level[8];
	const char *argv[16];
};

static void command_format(struct command *cmd, const struct child *c, const struct launch *launch);
static void become(const struct child *c, const struct launch *launch, const struct spawn *own,
		   const struct command *cmd) GA_NORETURN;

int spawn_role(const struct child *c, const struct launch *launch, const struct spawn *own)
{
	struct command cmd;
	pid_t pid;

	command_format(&cmd, c, launch);
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		become(c, launch, own, &cmd);
	(void)setpgid(pid, pid); /* the child does so too: whoever comes first */
	return pid;
}

/* PATH and the like, where names and hosts are looked up, and what the tools of developers read. Nothing of systemd's:
 * a child must not speak for the service. */
char **spawn_environment(char *const all[])
{
	static const char *const names[] = {
		"PATH=",
		"HOME=",
		"LANG=",
		"LC_",
		"TZ=",
		"TMPDIR=",
		"JOURNAL_STREAM=",
		"CREDENTIALS_DIRECTORY=",
		"SSL_CERT_FILE=",
		"SSL_CERT_DIR=",
		"RES_OPTIONS=",
		"LOCALDOMAIN=",
		"ASAN_",
		"LSAN_",
		"TSAN_",
		"UBSAN_",
		"LLVM_PROFILE_FILE=",
		"GCOV_",
		"GLIBC_TUNABLES=",
		"MALLOC_",
		"CMOCKA_",
		"LD_PRELOAD=",
		"GATHER_DEBUG=",
		"GATHER_TASKS=",
		"GATHER_TEST_",
		"GATHER_FAILPOINT=",
	};
	size_t count = 0, kept = 0;
	char **environment;

	while (all[count])
		count++;
	environment = calloc(count + 1, sizeof(*environment));
	for (size_t i = 0; environment && i < count; i++) {
		for (size_t n = 0; n < ARRAY_SIZE(names); n++) {
			if (strncmp(all[i], names[n], strlen(names[n])) == 0) {
				environment[kept++] = all[i];
				break;
			}
		}
	}
	return environment;
}

static void command_format(struct command *cmd, const struct child *c, const struct launch *launch)
{
	unsigned listeners = strcmp(c->role, "broker") == 0 ? launch->listener_count : 0;
	const char *const argv[] = {
		"gatherd",        "--role",      c->role,        "--slot",
		cmd->slot,        "--cpu",       cmd->cpu,       "--incarnation",
		cmd->incarnation, "--listeners", cmd->listeners, "--parent",
		cmd->parent,      "--log-level", cmd->level,     NULL,
	};

	_Static_assert(sizeof(argv) == sizeof(cmd->argv), "room for the whole command");
	snprintf(cmd->slot, sizeof(cmd->slot), "%u", c->slot);
	snprintf(cmd->cpu, sizeof(cmd->cpu), "%u", c->cpu);
	snprintf(cmd->incarnation, sizeof(cmd->incarnation), "%llu",
		 (unsigned long long)c->incarnation);
	snprintf(cmd->listeners, sizeof(cmd->listeners), "%u", listeners);
	snprintf(cmd->parent, sizeof(cmd->parent), "%d", getpid());
	snprintf(cmd->level, sizeof(cmd->level), "%d", (int)launch->level);
	memcpy(cmd->argv, argv, sizeof(argv));
}

/* In the child: there is nobody to return an error to. */
static void give_up(const char *what) GA_NORETURN;
static void give_up(const char *what)
{
	dprintf(STDERR_FILENO, "gatherd: a child can't be started: %s: %s\n", what, strerror(errno));
	_exit(EX_OSERR);
}

static void place(int fd, int target)
{
	/* dup2() onto itself would leave close-on-exec set; the sources are above all targets, so it never is. */
	if (fd >= 0 && dup2(fd, target) < 0)
		give_up("dup2");
}

/* A copy that no fixed number will overwrite. */
static int above(int fd, int lowest)
{
	int copy = -1;

	if (fd >= 0) {
		copy = fcntl(fd, F_DUPFD_CLOEXEC, lowest);
		if (copy < 0)
			give_up("fcntl");
	}
	return copy;
}

/* Returns the program's descriptor, close-on-exec as all else above the fixed numbers. */
static int place_descriptors(const struct launch *launch, const struct spawn *own, unsigned listeners)
{
	int end = ROLE_FD_LISTENERS + (int)listeners;
	int control = above(own->control, end), page = above(own->page, end);
	int config = above(launch->config, end), types = above(launch->types, end);
	int program = above(launch->program, end), output = above(own->output, end);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		give_up("/dev/null");
	null = above(null, end);
	for (unsigned i = 0; i < listeners; i++)
		launch->listeners[i] = above(launch->listeners[i], end); /* the child's copy */
	place(null, STDIN_FILENO);
	place(output >= 0 ? output : STDERR_FILENO, STDOUT_FILENO);
	place(control, ROLE_FD_CONTROL);
	place(page, ROLE_FD_PAGE);
	place(config, ROLE_FD_CONFIG);
	if (types < 0)
		close(ROLE_FD_TYPES);
	place(types, ROLE_FD_TYPES);
	for (unsigned i = 0; i < listeners; i++)
		place(launch->listeners[i], ROLE_FD_LISTENERS + (int)i);
	if (close_range((unsigned)end, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		give_up("close_range");
	return program;
}

static void signals_to_default(void)
{
	sigset_t none;

	for (int i = 1; i < NSIG; i++)
		(void)signal(i, SIG_DFL); /* fails for KILL, STOP and libc's own */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void become(const struct child *c, const struct launch *launch, const struct spawn *own,
		   const struct command *cmd)
{
	pid_t parent = (pid_t)atoi(cmd->parent);
	int program;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		give_up("prctl");
	if (getppid() != parent)
		_exit(EX_OSERR); /* it died before the signal was asked for */
	(void)setpgid(0, 0);
	signals_to_default();
	if (c->cpu != CPU_NONE)
		cpu_pin(c->cpu); /* a CPU may have been taken away: role_adopt() finds out */
	program = place_descriptors(launch, own, (unsigned)atoi(cmd->listeners));
	execveat(program, "", (char *const *)(uintptr_t)cmd->argv, launch->environment, AT_EMPTY_PATH);
	give_up("exec");
}
