#include "group_row.h"
#include "buf.h"
#include "clock.h"
#include "engine_groups.h"
#include "group_form.h"
#include "json_write.h"
#include "log.h"
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- out ---- */

static int64_t wall_of(const struct broker *b, int64_t at)
{
	return at == 0 ? 0 : at + b->wall_offset;
}

/* Small, fixed additions: without memory for them the broker starts again, and nothing that was acknowledged is lost. */
static struct bytes *taken(struct buf *text)
{
	struct bytes *bytes = bytes_new(buf_data(text), buf_size(text));

	if (!bytes)
		abort();
	buf_done(text);
	return bytes;
}

static struct bytes *members_of(const struct group *g)
{
	struct buf text = BUF_INIT;

	for (uint32_t i = 0; i < g->made; i++) {
		uint64_t sequence = htole64(g->sequences[i]);

		if (buf_append(&text, &sequence, sizeof(sequence)) < 0)
			abort();
	}
	return taken(&text);
}

/* Of this boot of the machine: instants of the engine's clock mean something within it alone. */
static const char *boot_id(void)
{
	static char id[40];

	if (!id[0]) {
		int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

		if (fd < 0 || read(fd, id, 36) != 36)
			id[0] = '?';
		if (fd >= 0)
			close(fd);
	}
	return id;
}

static void put_flag(struct buf *out, const char *key, bool value)
{
	if (!value)
		return;
	json_put_key(out, key);
	json_put_boolean(out, true);
}

static void put_due(struct broker *b, int64_t due, struct buf *out)
{
	if (due == 0)
		return;
	json_put_key(out, "due");
	json_put_literal(out, "[");
	json_put_string(out, span_of(boot_id()));
	json_put_literal(out, ",");
	json_put_integer(out, due);
	json_put_literal(out, ",");
	json_put_integer(out, wall_of(b, due));
	json_put_literal(out, "]");
}

static struct bytes *progress_of(struct broker *b, const struct group *g)
{
	struct buf text = BUF_INIT;

	json_put_literal(&text, "{\"settled\":\"");
	if (group_settled_text(g, &text) < 0)
		abort();
	json_put_literal(&text, "\"");
	put_flag(&text, "cancelling", g->cancelling);
	put_flag(&text, "timed_out", g->timed_out);
	if (g->started_at) {
		json_put_key(&text, "started");
		json_put_integer(&text, wall_of(b, g->started_at));
	}
	put_due(b, engine_group_due(b->engine, g), &text);
	json_put_literal(&text, "}");
	return taken(&text);
}

static struct bytes *error_of(const struct group *g)
{
	struct buf text = BUF_INIT;

	if (!g->error)
		return NULL;
	json_put_literal(&text, "{");
	json_put_key(&text, "code");
	json_put_string(&text, span_of(g->error->code));
	json_put_key(&text, "message");
	json_put_string(&text, span_of(g->error->message));
	json_put_literal(&text, "}");
	return taken(&text);
}

static struct span text_of(const struct bytes *b)
{
	return b ? (struct span){ b->data, b->size } : (struct span){ 0 };
}

void group_row_fill(struct broker *b, const struct group *g, struct store_group *ret_row,
		    struct group_texts *ret_texts)
{
	struct group_texts t = { members_of(g), progress_of(b, g), error_of(g) };
	bool failed = g->state == JOB_FAILED || g->state == JOB_EXPIRED;
	int64_t ttl = failed ? b->conf->failed_ttl : b->conf->result_ttl;

	*ret_row = (struct store_group){ .id = g->id,
					 .sequence = g->sequence,
					 .parent = g->parent ? g->parent->sequence : 0,
					 .member = g->member,
					 .members = text_of(t.members),
					 .progress = text_of(t.progress),
					 .error = text_of(t.error),
					 .state = (enum job_state)g->state,
					 .accepted_wall = wall_of(b, g->accepted_at),
					 .finished_wall = wall_of(b, g->finished_at) };
	if (!g->stored)
		ret_row->spec = text_of(g->spec);
	if (job_state_is_final((enum job_state)g->state))
		ret_row->expires_wall = wall_of(b, time_add(g->finished_at, ttl));
	*ret_texts = t;
}

void group_texts_done(struct group_texts *t)
{
	bytes_unref(GA_TAKE_PTR(t->members));
	bytes_unref(GA_TAKE_PTR(t->progress));
	bytes_unref(GA_TAKE_PTR(t->error));
}

/* ---- back ---- */

/* A row's texts as trees, while it is read. */
struct reading {
	json_t *spec, *progress, *error;
	struct group_form form;
};

static int reading_open(const struct store_group *row, struct reading *ret_reading)
{
	struct reading n = { .spec = json_loadb(row->spec.data, row->spec.size, 0, NULL),
			     .progress = json_loadb(row->progress.data, row->progress.size, 0, NULL),
			     .error = row->error.size
					      ? json_loadb(row->error.data, row->error.size, 0, NULL)
					      : NULL };
	struct refusal r = { .message = "it isn't JSON" };

	*ret_reading = n;
	if (!n.spec || group_form_read(n.spec, true, &ret_reading->form, &r) < 0) {
		log_error("a stored group can't be read: %s", r.message);
		return -EINVAL;
	}
	return 0;
}

static void reading_done(struct reading *n)
{
	json_decref(n->spec);
	json_decref(n->progress);
	json_decref(n->error);
}

static struct span member_text(const json_t *object, const char *key)
{
	return span_of(json_string_value(json_object_get(object, key)));
}

/* The engine's time for an instant of the wall clock, 0 for none. Below 0: before the boot. */
static int64_t time_of(const struct broker *b, int64_t wall)
{
	int64_t at = wall - b->wall_offset;

	return wall == 0 ? 0 : at ? at : 1;
}

/* Bits 10 and 11 of an id's rand_a (ids are made in engine.c). */
static enum job_durability durability_of(const struct uuid *id)
{
	return (enum job_durability)(id->b[6] >> 2 & 3);
}

static int64_t due_of(const struct broker *b, const json_t *due)
{
	const char *boot = json_string_value(json_array_get(due, 0));

	if (!boot)
		return 0;
	if (strcmp(boot, boot_id()) == 0)
		return MAX(json_integer_value(json_array_get(due, 1)), 1);
	return MAX(time_of(b, json_integer_value(json_array_get(due, 2))), 1);
}

static void describe(struct broker *b, const struct store_group *row, const struct reading *n,
		     struct group_submission *s, struct restored_group *r)
{
	*s = (struct group_submission){
		.options = n->form.options,
		.durability = durability_of(&row->id),
		.count = n->form.count,
		.spec = bytes_new(row->spec.data, row->spec.size),
		.parent = row->parent ? engine_group_at(b->engine, row->parent) : NULL,
		.member = row->member,
	};
	*r = (struct restored_group){
		.id = row->id,
		.sequence = row->sequence,
		.state = row->state,
		.cancelling = json_is_true(json_object_get(n->progress, "cancelling")),
		.timed_out = json_is_true(json_object_get(n->progress, "timed_out")),
		.accepted_at = time_of(b, row->accepted_wall),
		.started_at = time_of(b, json_integer_value(json_object_get(n->progress, "started"))),
		.finished_at = time_of(b, row->finished_wall),
		.due = due_of(b, json_object_get(n->progress, "due")),
		.members = row->members,
		.settled = member_text(n->progress, "settled"),
		.error_code = member_text(n->error, "code"),
		.error_message = member_text(n->error, "message"),
	};
}

static int read_row(struct broker *b, const struct store_group *row, struct group **ret_group)
{
	struct group_submission s;
	struct restored_group r;
	struct reading n;
	int error = reading_open(row, &n);

	if (error == 0) {
		describe(b, row, &n, &s, &r);
		if (!s.spec)
			error = -ENOMEM;
		else if (job_state_is_final(row->state))
			error = group_unpack(&s, &r, ret_group);
		else
			error = engine_group_restore(b->engine, &s, &r, ret_group);
		bytes_unref(s.spec);
	}
	reading_done(&n);
	return error;
}

int group_row_restore(struct broker *b, const struct store_group *row)
{
	struct group *unused;

	return job_state_is_final(row->state) ? -EINVAL : read_row(b, row, &unused);
}

int group_row_unpack(struct broker *b, const struct store_group *row, struct group **ret_group)
{
	return job_state_is_final(row->state) ? read_row(b, row, ret_group) : -EINVAL;
}
