#include "local.h"
#include "cli.h"
#include "output.h"
#include "session.h"
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define READY_LIMIT_MS 10000
#define END_LIMIT_MS 5000
/* The longest name that the daemon makes in the directory, with what a socket's address holds. */
#define DIRECTORY_MAX 80

struct local {
	char directory[DIRECTORY_MAX], socket[DIRECTORY_MAX + 8];
	int log_fd;   /* in memory: nothing of it is left behind, however this ends */
	int until_fd; /* closing it ends the daemon */
	int ready_fd;
	pid_t pid; /* 0: not started, or reaped */
};

static bool make_directory(struct local *l);
static bool find_daemon(char path[PATH_MAX]);
static int spawn_daemon(struct local *l, const char *program);
static bool wait_until_ready(struct local *l);

int local_start(struct local **ret_local)
{
	struct local *l = calloc(1, sizeof(*l));
	char program[PATH_MAX];
	int error;

	if (!l)
		return STATUS_UNREACHABLE;
	l->until_fd = l->ready_fd = -1;
	l->log_fd = memfd_create("gatherd log", MFD_CLOEXEC);
	if (!find_daemon(program)) {
		say("--local needs gatherd beside gather or in PATH; it is in neither");
	} else if (l->log_fd < 0 || !make_directory(l)) {
		say("cannot make a private log and directory: %s", strerror(errno));
	} else if ((error = spawn_daemon(l, program)) != 0) {
		say("cannot start %s: %s", program, strerror(error));
	} else if (wait_until_ready(l)) {
		*ret_local = l;
		return STATUS_OK;
	} else if (!interrupted()) {
		say("the private gatherd did not start");
		local_show_log(l);
	}
	local_stop(l);
	return interrupted() ? interrupted_status() : STATUS_UNREACHABLE;
}

const char *local_socket(const struct local *l)
{
	return l->socket;
}

static bool make_directory(struct local *l)
{
	const char *bases[] = { getenv("XDG_RUNTIME_DIR"), getenv("TMPDIR"), "/tmp" };

	for (size_t i = 0; i < sizeof(bases) / sizeof(bases[0]); i++) {
		if (!bases[i] || bases[i][0] != '/')
			continue;
		if (snprintf(l->directory, sizeof(l->directory), "%s/gather-XXXXXX", bases[i]) <
			    (int)sizeof(l->directory) &&
		    mkdtemp(l->directory)) {
			sprintf(l->socket, "%s/s", l->directory);
			return true;
		}
		l->directory[0] = '\0';
	}
	return false;
}

/* Beside this program, where the installation put it, or in PATH. */
static bool find_daemon(char path[PATH_MAX])
{
	const char *search = getenv("PATH");
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 1);

	if (n > 0) {
		char *slash;

		path[n] = '\0';
		slash = strrchr(path, '/');
		if (slash && (size_t)(slash - path) < PATH_MAX - sizeof("/gatherd")) {
			strcpy(slash, "/gatherd");
			if (access(path, X_OK) == 0)
				return true;
		}
	}
	if (strlen(GATHER_SBINDIR) + sizeof("/gatherd") <= PATH_MAX) {
		strcpy(path, GATHER_SBINDIR "/gatherd");
		if (access(path, X_OK) == 0)
			return true;
	}
	while (search && *search) {
		int length = (int)strcspn(search, ":");

		if (length > 0 && snprintf(path, PATH_MAX, "%.*s/gatherd", length, search) < PATH_MAX &&
		    access(path, X_OK) == 0)
			return true;
		search += length + (search[length] == ':');
	}
	return false;
}

/* Its standard streams: nothing to read, and the log. Both pipes' ends keep their numbers. */
static int prepare_files(posix_spawn_file_actions_t *files, const struct local *l, int ready_fd,
			 int until_fd)
{
	int error = posix_spawn_file_actions_addopen(files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);

	if (!error)
		error = posix_spawn_file_actions_adddup2(files, l->log_fd, STDOUT_FILENO);
	if (!error)
		error = posix_spawn_file_actions_adddup2(files, STDOUT_FILENO, STDERR_FILENO);
	/* Onto itself: takes away close-on-exec. */
	if (!error)
		error = posix_spawn_file_actions_adddup2(files, ready_fd, ready_fd);
	if (!error)
		error = posix_spawn_file_actions_adddup2(files, until_fd, until_fd);
	return error;
}

static int prepare_signals(posix_spawnattr_t *attributes)
{
	sigset_t all, none;
	int error;

	sigfillset(&all);
	sigemptyset(&none);
	error = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF |
							     POSIX_SPAWN_SETSIGMASK);
	if (!error)
		error = posix_spawnattr_setsigdefault(attributes, &all);
	if (!error)
		error = posix_spawnattr_setsigmask(attributes, &none);
	return error;
}

static int spawn_with(struct local *l, const char *program, int ready_fd, int until_fd)
{
	char ready[16], until[16];
	const char *argv[] = { "gatherd",
			       "--private",
			       l->directory,
			       "--ready-fd",
			       ready,
			       "--until-eof",
			       until,
			       "-o",
			       "http.allow=*",
			       "-o",
			       "http.per_host=0",
			       "-o",
			       "store=none",
			       NULL };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	int error = posix_spawn_file_actions_init(&files);

	if (error)
		return error;
	error = posix_spawnattr_init(&attributes);
	if (error) {
		posix_spawn_file_actions_destroy(&files);
		return error;
	}
	sprintf(ready, "%d", ready_fd);
	sprintf(until, "%d", until_fd);
	error = prepare_files(&files, l, ready_fd, until_fd);
	if (!error)
		error = prepare_signals(&attributes);
	if (!error)
		error = posix_spawn(&l->pid, program, &files, &attributes,
				    (char *const *)(uintptr_t)argv, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&files);
	return error;
}

static int spawn_daemon(struct local *l, const char *program)
{
	int ready[2], until[2], error;

	if (pipe2(ready, O_CLOEXEC) < 0)
		return errno;
	if (pipe2(until, O_CLOEXEC) < 0) {
		error = errno;
		close(ready[0]);
		close(ready[1]);
		return error;
	}
	error = spawn_with(l, program, ready[1], until[0]);
	close(ready[1]);
	close(until[0]);
	l->ready_fd = ready[0];
	l->until_fd = until[1];
	if (error)
		l->pid = 0;
	return error;
}

static bool wait_until_ready(struct local *l)
{
	struct pollfd p = { .fd = l->ready_fd, .events = POLLIN };
	char word[16];

	/* One write of a few bytes into an empty pipe arrives whole; the end of the pipe means that it failed. */
	return poll(&p, 1, READY_LIMIT_MS) == 1 && read(l->ready_fd, word, sizeof(word)) >= 5 &&
	       memcmp(word, "ready", 5) == 0;
}

/* Wait for its end; true once it is reaped. */
static bool reap(pid_t pid, int limit_ms)
{
	struct pollfd p = { .fd = pidfd_open(pid, 0), .events = POLLIN };
	int64_t deadline = ga_client_now() + limit_ms * INT64_C(1000000);
	int n;

	if (p.fd < 0)
		return waitpid(pid, NULL, WNOHANG) != 0;
	do {
		int64_t left = (deadline - ga_client_now()) / 1000000;

		n = poll(&p, 1, left > 0 ? (int)left : 0);
	} while (n < 0 && errno == EINTR);
	close(p.fd);
	return n == 1 && waitpid(pid, NULL, 0) == pid;
}

static int remove_entry(const char *path, const struct stat *s, int kind, struct FTW *where)
{
	(void)s;
	(void)kind;
	(void)where;
	(void)remove(path);
	return 0;
}

void local_stop(struct local *l)
{
	if (!l)
		return;
	if (l->until_fd >= 0)
		close(l->until_fd);
	if (l->ready_fd >= 0)
		close(l->ready_fd);
	if (l->log_fd >= 0)
		close(l->log_fd);
	if (l->pid && !reap(l->pid, END_LIMIT_MS)) {
		kill(l->pid, SIGKILL);
		reap(l->pid, END_LIMIT_MS);
	}
	if (l->directory[0])
		nftw(l->directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
	free(l);
}

void local_show_log(const struct local *l)
{
	char text[4096];
	off_t size = l ? lseek(l->log_fd, 0, SEEK_END) : 0;
	off_t start = size > (off_t)sizeof(text) ? size - (off_t)sizeof(text) : 0;
	ssize_t n = size > 0 ? pread(l->log_fd, text, sizeof(text), start) : 0;

	if (n > 0)
		error_put(text, (size_t)n);
}
