#include "group_ask.h"
#include "group_row.h"
#include "keep.h"
#include "log.h"
#include <errno.h>
#include <stdlib.h>

static void ask_free(void *more)
{
	struct group_ask *a = more;

	group_watch_stop(&a->watch);
	group_unpacked_free(a->alone);
	buf_done(&a->out);
	free(a);
}

struct group_ask *group_ask_new(struct verb_request *q)
{
	struct group_ask *a = calloc(1, sizeof(*a));

	if (!a)
		abort(); /* small and fixed */
	a->q = q;
	q->more = a;
	q->more_free = ask_free;
	return a;
}

struct group *group_ask_group(const struct group_ask *a)
{
	return a->alone ? a->alone : engine_group_at(a->q->broker->engine, a->sequence);
}

void group_ask_refuse(struct group_ask *a, int error)
{
	char id[UUID_TEXT_SIZE];
	struct refusal r;

	uuid_format(&a->id, id);
	switch (error) {
	case -EIDRM:
		refuse(&r, 410, "gone", "id", "this group has ended and is no longer kept");
		break;
	case -ESTALE:
		refuse(&r, 410, "lost", "id",
		       "this group was kept in memory and was lost when the daemon restarted");
		break;
	case -ENOENT:
	case -ENODATA:
		refuse(&r, 404, "no_such_group", "id", "no group %s", id);
		break;
	default:
		refuse(&r, 503, "store_failed", "", "the store can't be read: ask again later");
	}
	verb_refuse(a->q, &r);
}

static void on_row(void *arg, const struct store_rows *rows)
{
	struct group_ask *a = arg;
	int error = rows->error;

	a->q->read = NULL;
	if (error == 0)
		error = group_row_unpack(a->q->broker, &rows->groups[0], &a->alone);
	if (error < 0)
		group_ask_refuse(a, error == -ENOENT ? error : -EIO);
	else
		a->found(a, a->alone);
}

void group_ask_find(struct group_ask *a, struct span id, group_ask_fn fn)
{
	struct broker *b = a->q->broker;
	struct group *g;
	struct refusal r;
	int error;

	if (uuid_parse(id.data, id.size, &a->id) < 0) {
		refuse(&r, 400, "bad_id", "id",
		       "\"%.*s\" is not a group's id: those look like 01902d5c-7e0a-7c1b-8000-2b3c4d5e6f70",
		       (int)MIN(id.size, (size_t)40), id.data);
		verb_refuse(a->q, &r);
		return;
	}
	a->found = fn;
	error = engine_group_find(broker_engine(b), &a->id, &g);
	if (error == 0) {
		a->sequence = g->sequence;
		fn(a, g);
		return;
	}
	/* What has left the engine's memory has ended, and that is in the store. */
	if (error == -ENODATA && b->store)
		error = store_read_group(b->store, &a->id, on_row, a, &a->q->read);
	if (error < 0)
		group_ask_refuse(a, error);
}
