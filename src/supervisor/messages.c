#include "clock.h"
#include "state.h"
#include <errno.h>
#include <signal.h>
#include <unistd.h>

/* The table of a hundred job types is some 100 KiB. */
enum { TABLE_MAX = 16 * 1024 * 1024 };

static void take_message(struct supervisor *s, struct child *c, const struct control_message *m,
			 int64_t now);

void messages_read(struct supervisor *s, struct child *c, int64_t now)
{
	struct control_message m;
	int r;

	while ((r = child_receive(c, &m)) >= 0 || r == -EPROTO)
		if (r >= 0)
			take_message(s, c, &m, now);
}

void types_read(struct supervisor *s)
{
	char *room;
	ssize_t size;

	while (s->types.output >= 0) {
		room = buf_size(&s->table) < TABLE_MAX ? buf_reserve(&s->table, 65536) : NULL;
		if (!room) {
			log_error("the table of job types is too large");
			buf_clear(&s->table);
			child_kill(&s->types, SIGKILL);
			s->types.end = END_HANG;
			break;
		}
		size = read(s->types.output, room, 65536);
		if (size < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (size <= 0)
			break;
		buf_grew(&s->table, (size_t)size);
	}
	if (s->types.output >= 0)
		close(s->types.output);
	s->types.output = -1;
}

static void worker_replace(struct supervisor *s, const struct control_message *m, int64_t now)
{
	struct child *c = family_worker(s, m->slot);
	char name[CHILD_NAME_SIZE];

	if (!c || !child_lives(c) || c->incarnation != m->incarnation || c->end != END_NONE)
		return; /* it is gone already */
	log_notice("%s (pid %d) doesn't match the broker: replaced", child_name(c, name), c->pid);
	child_end(c, END_ASKED, now + REPLACE_PATIENCE);
}

static void take_message(struct supervisor *s, struct child *c, const struct control_message *m,
			 int64_t now)
{
	switch (m->kind) {
	case CONTROL_READY:
		if (c->state == CHILD_STARTING && c != &s->types)
			child_ready(c);
		break;
	case CONTROL_DRAINED:
		if (c == &s->broker && s->phase == PHASE_DRAINING) {
			log_info("all that ran is finished");
			s->phase_end = MIN(s->phase_end, now + 2 * NSEC_PER_SEC);
		}
		break;
	case CONTROL_WORKER_RESTART:
		if (c == &s->broker)
			worker_replace(s, m, now);
		break;
	case CONTROL_SACRIFICE:
		if (c == &s->broker)
			sacrifice_wanted(s, now);
		break;
	case CONTROL_DISMISS:
		if (c == &s->broker)
			sacrifice_dismissed(s, m->incarnation, now);
		break;
	default:
		log_debug("a message of kind %u from a child means nothing here", m->kind);
		break;
	}
}
