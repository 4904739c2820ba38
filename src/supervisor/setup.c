#include "clock.h"
#include "configuration.h"
#include "memory_file.h"
#include "place.h"
#include "spawn.h"
#include "state.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

/* Enough for the connections and transfers of a busy host; a tighter hard limit is kept. */
enum { WANTED_FILES = 65536 };
#define LOCK_PATIENCE (5 * NSEC_PER_SEC)

static int setup_configuration(struct supervisor *s);
static int setup_places(struct supervisor *s);
static int setup_listeners(struct supervisor *s);
static int setup_process(struct supervisor *s);
static int setup_launch(struct supervisor *s);

int setup_all(struct supervisor *s, const struct options *o)
{
	static int (*const steps[])(struct supervisor * s) = {
		setup_configuration, setup_places, setup_listeners, setup_process, setup_launch,
	};

	*s = (struct supervisor){
		.options = o,
		.phase_end = TIME_NEVER,
		.launch = { .program = -1, .config = -1, .types = -1 },
		.signals = -1,
		.until_eof = o->until_eof_fd,
		.ready_fd = o->ready_fd,
		.lock = -1,
		.runtime_lock = -1,
	};
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		int status = steps[i](s);

		if (status)
			return status;
	}
	return 0;
}

/* In a private directory, what was made here goes; the directory itself only if nothing else is in it. */
static void private_remove(const struct supervisor *s)
{
	if (!s->options->private_dir || !s->conf)
		return;
	if (s->made_state)
		place_remove(s->conf->state_dir);
	if (s->made_runtime)
		place_remove(s->conf->runtime_dir);
	(void)rmdir(s->options->private_dir);
}

static void descriptor_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void setup_undo(struct supervisor *s)
{
	family_done(s);
	if (s->listeners.fds)
		listeners_done(&s->listeners, s->conf->socket);
	private_remove(s);
	descriptor_close(&s->launch.program);
	descriptor_close(&s->launch.config);
	descriptor_close(&s->launch.types);
	descriptor_close(&s->signals);
	descriptor_close(&s->ready_fd);
	descriptor_close(&s->runtime_lock);
	descriptor_close(&s->lock); /* last: from here on another one may come */
	free(s->launch.environment);
	conf_free(s->conf);
}

static int setup_configuration(struct supervisor *s)
{
	struct conf_issue issue;

	if (configuration_load(s->options, &s->conf, &issue) < 0) {
		log_error("%s", issue.text);
		return EX_CONFIG;
	}
	s->launch.level = configuration_log_level(s->conf);
	log_set_level(s->launch.level);
	return 0;
}

static int place_wanted(const char *option, const char *path, mode_t mode, bool *ret_made)
{
	int r = place_make(path, mode);

	if (r < 0) {
		log_error("%s = %s: can't be made: %s", option, path, strerror(-r));
		return EX_CONFIG;
	}
	*ret_made = r > 0;
	return 0;
}

/* Killed in the midst of starting a child, an earlier gatherd leaves the lock with that child for as long as it takes to
 * die: a holder that is no more is waited for. */
static int lock_wait(const char *option, const char *path, int *ret_lock, pid_t *ret_holder)
{
	int64_t end = clock_monotonic() + LOCK_PATIENCE;
	bool told = false;
	int r;

	while ((r = place_lock(path, ret_lock, ret_holder)) == -EWOULDBLOCK && *ret_holder > 0 &&
	       kill(*ret_holder, 0) < 0 && errno == ESRCH && clock_monotonic() < end) {
		if (!told)
			log_notice("%s = %s: waiting for what gatherd %d left behind", option, path,
				   *ret_holder);
		told = true;
		(void)usleep(10000);
	}
	return r;
}

static int lock_one(const char *option, const char *path, int *ret_lock)
{
	pid_t holder = 0;
	int r = lock_wait(option, path, ret_lock, &holder);

	if (r >= 0)
		return 0;
	if (r == -EWOULDBLOCK)
		log_error("%s = %s: in use by another gatherd, pid %d", option, path, holder);
	else
		log_error("%s = %s: can't be locked: %s", option, path, strerror(-r));
	return EX_CONFIG;
}

static bool is_same(const char *path, const char *other)
{
	struct stat a, b;

	return stat(path, &a) == 0 && stat(other, &b) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

/* Two in one runtime_dir would take each other's workers. */
static int setup_lock(struct supervisor *s)
{
	int status = lock_one("state_dir", s->conf->state_dir, &s->lock);

	if (status || is_same(s->conf->state_dir, s->conf->runtime_dir))
		return status;
	return lock_one("runtime_dir", s->conf->runtime_dir, &s->runtime_lock);
}

static int setup_places(struct supervisor *s)
{
	char buffer[PATH_MAX];
	const char *own = configuration_directory(s->options, buffer, sizeof(buffer));
	int r = own ? place_make_own(own) : 0, status;

	if (r < 0) {
		log_error("%s: not a directory of this user alone: %s", own, strerror(-r));
		return EX_CONFIG;
	}
	status = place_wanted("state_dir", s->conf->state_dir, 0700, &s->made_state);
	if (!status)
		status = place_wanted("runtime_dir", s->conf->runtime_dir, 0750, &s->made_runtime);
	return status ? status : setup_lock(s);
}

static int setup_listeners(struct supervisor *s)
{
	mode_t mode = (mode_t)strtoul(s->conf->socket_mode, NULL, 8);

	if (listeners_open(s->conf->socket, mode, &s->listeners) < 0)
		return EX_CONFIG;
	s->launch.listeners = s->listeners.fds;
	s->launch.listener_count = s->listeners.count;
	return 0;
}

static void limits_raise(const struct supervisor *s)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < WANTED_FILES) {
		limit.rlim_cur = MIN(limit.rlim_max, (rlim_t)WANTED_FILES);
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
	/* Memory holds secrets of jobs: no dumps but where somebody looks for bugs. */
	if (!s->options->dev && getrlimit(RLIMIT_CORE, &limit) == 0) {
		limit.rlim_cur = 0;
		(void)setrlimit(RLIMIT_CORE, &limit);
	}
}

static int setup_process(struct supervisor *s)
{
	static const int handled[] = { SIGTERM, SIGINT, SIGHUP, SIGCHLD };
	sigset_t set;

	limits_raise(s);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(handled); i++) {
		signal(handled[i], SIG_DFL); /* inherited as ignored they would never arrive */
		sigaddset(&set, handled[i]);
	}
	if (sigprocmask(SIG_BLOCK, &set, NULL) == 0)
		s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->signals < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0) {
		log_error("signals can't be set up: %m");
		return EXIT_FAILURE;
	}
	service_open(s);
	return 0;
}

static int setup_launch(struct supervisor *s)
{
	char *text = conf_dump(s->conf);
	int r = -ENOMEM;

	s->launch.environment = spawn_environment(environ);
	s->launch.program = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (s->launch.program < 0)
		r = -errno;
	else if (text && s->launch.environment)
		r = s->launch.config = memory_file("config", 0, false);
	if (r >= 0)
		r = memory_file_write(s->launch.config, text, strlen(text));
	free(text);
	if (r >= 0)
		r = family_init(s);
	if (r < 0) {
		log_error("the processes can't be prepared: %s", strerror(-r));
		return EXIT_FAILURE;
	}
	return 0;
}
