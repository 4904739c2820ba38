#include "child.h"
#include "clock.h"
#include "job_terms.h"
#include "memory_file.h"
#include "spawn.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* A broker that doesn't read for so long that this many bytes wait for it is hung, and dies of that. */
enum { OUTBOX_MAX = 4 * 1024 * 1024 };

static void child_move(struct child *c, enum child_state state);

void child_init(struct child *c, const char *role, uint32_t slot, uint32_t cpu)
{
	*c = (struct child){
		.role = role,
		.slot = slot,
		.cpu = cpu,
		.control = -1,
		.output = -1,
		.restart_at = TIME_NEVER,
		.kill_at = TIME_NEVER,
	};
}

void child_done(struct child *c)
{
	if (child_lives(c))
		child_gone(c);
	buf_done(&c->outbox);
}

static int page_make(struct shared_page **ret_page)
{
	struct shared_page *page;
	int fd = memory_file("page", sizeof(*page), true);

	if (fd < 0)
		return fd;
	page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED) {
		int error = -errno;

		close(fd);
		return error;
	}
	page->magic = SHARED_PAGE_MAGIC;
	*ret_page = page;
	return fd;
}

static void close_pair(int pair[2])
{
	for (int i = 0; i < 2; i++) {
		if (pair[i] >= 0)
			close(pair[i]);
		pair[i] = -1;
	}
}

int child_start(struct child *c, const struct launch *launch, uint64_t incarnation, int64_t now)
{
	int control[2] = { -1, -1 }, output[2] = { -1, -1 }, page_fd = -1, r;
	struct shared_page *page = NULL;
	struct spawn spawn;

	c->incarnation = incarnation;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, control) < 0)
		return -errno;
	r = page_fd = page_make(&page);
	if (r >= 0 && c->has_output && pipe2(output, O_CLOEXEC) < 0)
		r = -errno;
	if (r >= 0) {
		spawn = (struct spawn){ .control = control[1], .page = page_fd, .output = output[1] };
		r = spawn_role(c, launch, &spawn);
	}
	if (r >= 0) {
		c->pid = r;
		c->page = GA_TAKE_PTR(page);
		c->control = control[0];
		c->output = output[0];
		if (c->output >= 0)
			(void)fcntl(c->output, F_SETFL, O_NONBLOCK);
		control[0] = output[0] = -1;
		c->started = now;
		c->restart_at = c->kill_at = TIME_NEVER;
		pulse_start(&c->pulse, now);
		child_move(c, CHILD_STARTING);
	}
	close_pair(control);
	close_pair(output);
	if (page)
		munmap(page, sizeof(*page));
	if (page_fd >= 0)
		close(page_fd);
	return MIN(r, 0);
}

void child_ready(struct child *c)
{
	c->was_ready = true;
	child_move(c, CHILD_UP);
}

void child_gone(struct child *c)
{
	child_move(c, CHILD_DOWN);
	munmap(c->page, sizeof(*c->page));
	c->page = NULL;
	if (c->control >= 0)
		close(c->control);
	if (c->output >= 0)
		close(c->output);
	c->control = c->output = -1;
	c->pid = 0;
	c->kill_at = TIME_NEVER;
	buf_clear(&c->outbox);
}

void child_send(struct child *c, const struct control_message *m)
{
	if (c->control < 0)
		return;
	child_flush(c);
	if (buf_size(&c->outbox) == 0 && control_send(c->control, m) != -EAGAIN)
		return; /* sent, or it is going */
	if (buf_size(&c->outbox) >= OUTBOX_MAX || buf_append(&c->outbox, m, sizeof(*m)) < 0)
		child_kill(c, SIGKILL); /* it must not go on with a gap in what it was told */
}

void child_flush(struct child *c)
{
	struct control_message m;

	while (c->control >= 0 && buf_size(&c->outbox) >= sizeof(m)) {
		memcpy(&m, buf_data(&c->outbox), sizeof(m));
		if (control_send(c->control, &m) == -EAGAIN)
			return;
		buf_consume(&c->outbox, sizeof(m));
	}
}

int child_receive(struct child *c, struct control_message *ret_m)
{
	int r;

	if (c->control < 0)
		return -EPIPE;
	r = control_receive(c->control, ret_m);
	if (r < 0 && r != -EAGAIN && r != -EPROTO) {
		close(c->control);
		c->control = -1;
		return -EPIPE;
	}
	return r;
}

void child_end(struct child *c, enum child_end why, int64_t kill_at)
{
	if (!child_lives(c))
		return;
	c->end = why;
	c->kill_at = kill_at;
	child_kill(c, SIGTERM);
}

/* Safe against a reused number: the process is ours and unreaped while the state isn't DOWN. */
void child_kill(struct child *c, int signal_number)
{
	if (child_lives(c))
		kill(c->pid, signal_number);
}

char *child_name(const struct child *c, char name[CHILD_NAME_SIZE])
{
	if (strcmp(c->role, "worker") == 0 && c->slot == SACRIFICE_SLOT)
		snprintf(name, CHILD_NAME_SIZE, "sacrificial worker");
	else if (strcmp(c->role, "worker") == 0)
		snprintf(name, CHILD_NAME_SIZE, "worker %u", c->slot);
	else
		snprintf(name, CHILD_NAME_SIZE, "%s", c->role);
	return name;
}

static void child_move(struct child *c, enum child_state state)
{
	if (state == CHILD_STARTING)
		c->end = END_NONE;
	c->state = state;
}
