#include "inherit.h"
#include "job_terms.h"
#include "log.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int take_control(void);
static int keep_to_self(unsigned listeners);
static uint32_t pinned_cpu(uint32_t wanted);
static void take_name(const struct role *r, enum log_level level);

static int inherit_all(struct role *r)
{
	bool has_types = strcmp(r->name, "types") != 0;
	int error;

	error = take_control();
	if (error < 0)
		return error;
	error = inherit_page(ROLE_FD_PAGE, &r->page);
	if (error < 0)
		return error;
	error = inherit_text(ROLE_FD_CONFIG, &r->config);
	if (error < 0)
		return error;
	if (has_types)
		error = inherit_text(ROLE_FD_TYPES, &r->types);
	return error < 0 ? error : keep_to_self(r->listeners);
}

int role_adopt(int argc, char *const argv[], struct role *ret_role)
{
	struct role_arguments args;
	struct role r = { 0 };
	int error;

	error = role_arguments_parse(argc, argv, &args);
	if (error < 0) {
		log_error("--role is for gatherd itself, not for the command line");
		return error;
	}
	/* First the signal, then the question: a supervisor that dies in between is noticed either way. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return -errno;
	if (getppid() != (pid_t)args.parent) {
		log_error("--role %s: the supervisor is gone", args.name);
		return -EPIPE;
	}
	signal(SIGPIPE, SIG_IGN);
	r = (struct role){
		.name = args.name,
		.slot = (uint32_t)args.slot,
		.cpu = pinned_cpu((uint32_t)args.cpu),
		.incarnation = args.incarnation,
		.build_id = inherit_build_id(),
		.listeners = (unsigned)args.listeners,
	};
	take_name(&r, (enum log_level)args.log_level);
	error = inherit_all(&r);
	if (error < 0) {
		log_error("what the supervisor left is unusable: %s", strerror(-error));
		role_done(&r);
		return error;
	}
	*ret_role = r;
	return 0;
}

void role_done(struct role *r)
{
	if (r->page)
		munmap(r->page, sizeof(*r->page));
	free(r->config);
	free(r->types);
	*r = (struct role){ 0 };
}

int role_config(char **ret_text)
{
	return inherit_text(ROLE_FD_CONFIG, ret_text);
}

void role_heartbeat(struct shared_page *page, int64_t now, int64_t lag_ns)
{
	uint64_t lag = lag_ns > 0 ? (uint64_t)lag_ns : 0;

	atomic_store_explicit(&page->loop_lag_ns, lag, memory_order_relaxed);
	atomic_store_explicit(&page->heartbeat, now, memory_order_relaxed);
}

static int take_control(void)
{
	int type = 0;
	socklen_t size = sizeof(type);

	if (getsockopt(ROLE_FD_CONTROL, SOL_SOCKET, SO_TYPE, &type, &size) < 0)
		return -errno;
	if (type != SOCK_SEQPACKET)
		return -EINVAL;
	if (fcntl(ROLE_FD_CONTROL, F_SETFL, O_RDWR | O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

/* What a child inherits isn't for the processes that it starts in turn. */
static int keep_to_self(unsigned listeners)
{
	for (int fd = ROLE_FD_CONTROL; fd < ROLE_FD_LISTENERS + (int)listeners; fd++) {
		if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 && fd != ROLE_FD_TYPES)
			return -errno;
	}
	return 0;
}

/* The CPU if this process may really run there alone: a changed cpuset makes pinning fail, which is no reason to die. */
static uint32_t pinned_cpu(uint32_t wanted)
{
	size_t size;
	cpu_set_t *set;
	bool pinned;

	if (wanted == UINT32_MAX)
		return UINT32_MAX;
	/* The kernel refuses sets smaller than its own: room for 8192 CPUs suits each build of it. */
	size = CPU_ALLOC_SIZE(MAX(wanted + 1, 8192U));
	set = calloc(1, size);
	pinned = set && sched_getaffinity(0, size, set) == 0 && CPU_COUNT_S(size, set) == 1 &&
		 CPU_ISSET_S(wanted, size, set);
	free(set);
	return pinned ? wanted : UINT32_MAX;
}

static void take_name(const struct role *r, enum log_level level)
{
	char name[32], process[32];

	if (strcmp(r->name, "worker") == 0 && r->slot == SACRIFICE_SLOT) {
		snprintf(name, sizeof(name), "sacrificial worker");
		snprintf(process, sizeof(process), "gatherd-sacr");
	} else if (strcmp(r->name, "worker") == 0) {
		snprintf(name, sizeof(name), "worker %u", r->slot);
		snprintf(process, sizeof(process), "gatherd-w%u", r->slot);
	} else {
		snprintf(name, sizeof(name), "%s", r->name);
		snprintf(process, sizeof(process), "gatherd-%s", r->name);
	}
	log_open(name, level ? level : LEVEL_INFO);
	prctl(PR_SET_NAME, process);
}
