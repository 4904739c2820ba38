/*
 * schedule_text.c — a schedule as text: as it is asked for, as it is kept, as it is shown.
 */
#include "clock.h"
#include "json_slice.h"
#include "json_write.h"
#include "schedules.h"
#include "text.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define EVERY_MAX 31536000.0 /* a year, in seconds */

static const struct ga_param params[] = {
	{ "schedule", GA_OBJECT, GA_REQUIRED, NULL, 0, 0, NULL, NULL, "when" },
	{ "job", GA_OBJECT, GA_REQUIRED, NULL, 0, 0, NULL, NULL, "what" },
	{ "missed", GA_CHOICE, 0, "\"skip\"", 0, 0, NULL, "skip|once", "what becomes of missed times" },
	{ "paused", GA_BOOLEAN, 0, "false", 0, 0, NULL, NULL, "it rests" },
	{ 0 },
};

static const struct ga_param time_params[] = {
	{ "cron", GA_TEXT, 0, NULL, 1, 256, NULL, NULL, "five fields, or @daily and the like" },
	{ "tz", GA_TEXT, 0, "\"UTC\"", 1, 64, NULL, NULL, "the time zone of cron" },
	{ "every", GA_DURATION, 0, NULL, 1, EVERY_MAX, "s", NULL, "elapsed time between two" },
	{ 0 },
};

static int check_members(const struct ga_param *known, const char *prefix, const json_t *object,
			 struct refusal *r)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)object, key, value)
	{
		const struct ga_param *p = known;
		char names[80] = "", field[64];

		while (p->name && strcmp(p->name, key) != 0)
			p++;
		int error = p->name ? param_check(p, prefix, value, r) : 0;

		if (error < 0)
			return error;
		if (p->name)
			continue;
		for (p = known; p->name; p++) {
			strcat(names, " ");
			strcat(names, p->name);
		}
		snprintf(field, sizeof(field), "%s%.40s", prefix, key);
		return refuse(r, 422, "unknown_field", field, "unknown field \"%s\": known are%s",
			      field, names);
	}
	return 0;
}

static int read_cron(const char *cron, const char *tz, struct schedule *s, struct refusal *r)
{
	char why[CRON_WHY_SIZE];

	if (cron_parse(cron, &s->plan.cron, why, sizeof(why)) < 0)
		return refuse(r, 422, "bad_cron", "schedule.cron", "schedule.cron: %s", why);
	switch (zone_open(tz, &s->plan.zone)) {
	case 0:
		break;
	case -EINVAL:
		return refuse(r, 422, "bad_time_zone", "schedule.tz",
			      "schedule.tz takes the name of a time zone such as \"Europe/Berlin\" or \"UTC\", not "
			      "\"%.64s\"",
			      tz);
	default:
		return refuse(r, 422, "bad_time_zone", "schedule.tz",
			      "this machine's tzdata has no time zone \"%.64s\": names are like \"Europe/Berlin\"",
			      tz);
	}
	s->cron = strdup(cron);
	s->tz = strdup(tz);
	if (!s->cron || !s->tz)
		return refuse(r, 503, "no_memory", "", "the daemon is out of memory: try again later");
	return 0;
}

static int read_times(const json_t *object, struct schedule *s, struct refusal *r)
{
	const char *cron = json_string_value(json_object_get(object, "cron"));
	const char *tz = json_string_value(json_object_get(object, "tz"));
	const json_t *every = json_object_get(object, "every");
	int error = check_members(time_params, "schedule.", object, r);

	if (error < 0)
		return error;
	if (!cron == !every)
		return refuse(r, 422, "bad_field", "schedule",
			      "schedule takes either \"cron\", as in {\"cron\": \"*/5 * * * *\", \"tz\": "
			      "\"Europe/Berlin\"}, or \"every\", as in {\"every\": \"30s\"}");
	if (every && tz)
		return refuse(
			r, 422, "bad_field", "schedule.tz",
			"schedule.tz goes with cron: \"every\" is elapsed time, the same in every zone");
	if (every) {
		s->plan.every = param_duration(every);
		return 0;
	}
	return read_cron(cron, tz ? tz : "UTC", s, r);
}

/* Its job is checked now, as if it were handed in: mistakes are for who makes them, not for the log at night. */
static int read_job(struct broker *b, const json_t *job, struct span text, struct schedule *s,
		    struct refusal *r)
{
	static const char *const own[] = { "idempotency_key", "run_at" };
	struct span slice = json_member_text(text, SPAN("job"));

	for (size_t i = 0; i < ARRAY_SIZE(own); i++) {
		if (json_object_get(job, own[i]))
			return refuse(r, 422, "bad_field", own[i],
				      "a scheduled job takes no %s: each firing has its own", own[i]);
	}
	if (slice.size == 0)
		return refuse(r, 422, "bad_field", "job",
			      "the key \"job\" takes no escapes: write it plainly");
	int error = submit_check(b, job, slice, r);

	if (error < 0)
		return error;
	snprintf(s->type, sizeof(s->type), "%s", json_string_value(json_object_get(job, "type")));
	s->job = bytes_new(slice.data, slice.size);
	if (!s->job)
		return refuse(r, 503, "no_memory", "", "the daemon is out of memory: try again later");
	return 0;
}

int schedule_read(struct broker *b, const json_t *object, struct span text, struct schedule *s,
		  struct refusal *r)
{
	const json_t *times = json_object_get(object, "schedule"), *v;
	const json_t *job = json_object_get(object, "job");
	int error = check_members(params, "", object, r);

	if (error < 0)
		return error;
	if (!times || !job)
		return refuse(r, 422, "missing_field", times ? "job" : "schedule",
			      "%s is missing: a schedule is an object like {\"schedule\": {\"cron\": \"0 3 * * *\", "
			      "\"tz\": \"Europe/Berlin\"}, \"job\": {\"type\": \"noop\"}}",
			      times ? "job" : "schedule");
	if ((v = json_object_get(object, "missed")))
		s->plan.once = strcmp(json_string_value(v), "once") == 0;
	if ((v = json_object_get(object, "paused")))
		s->paused = json_is_true(v);
	error = read_times(times, s, r);
	return error < 0 ? error : read_job(b, job, text, s, r);
}

void schedule_done(struct schedule *s)
{
	free(s->cron);
	free(s->tz);
	zone_free(s->plan.zone);
	bytes_unref(s->job);
	free(s->trouble);
}

static void put_text(struct buf *out, const char *key, const char *value)
{
	json_put_key(out, key);
	json_put_string(out, span_of(value));
}

static void put_number(struct buf *out, const char *key, int64_t value)
{
	json_put_key(out, key);
	json_put_integer(out, value);
}

static void put_definition(const struct schedule *s, struct buf *out)
{
	char every[DURATION_TEXT_SIZE];

	json_put_key(out, "schedule");
	json_put_literal(out, "{");
	if (s->plan.every) {
		put_text(out, "every", duration_format(s->plan.every, every));
	} else {
		put_text(out, "cron", s->cron);
		put_text(out, "tz", s->tz);
	}
	json_put_literal(out, "}");
	put_text(out, "missed", s->plan.once ? "once" : "skip");
	json_put_key(out, "paused");
	json_put_boolean(out, s->paused);
}

/* ---- between two lives ---- */

/* It names the time from one start of the machine to the next; "" if it can't be read. */
static const char *boot_id(void)
{
	static char id[UUID_TEXT_SIZE];
	int fd = id[0] ? -1 : open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		ssize_t size = read(fd, id, sizeof(id) - 1);

		id[MAX(size, (ssize_t)0)] = '\0';
		close(fd);
	}
	return id;
}

void schedule_write(struct broker *b, const struct schedule *s, struct buf *out)
{
	char id[UUID_TEXT_SIZE];

	json_put_literal(out, "{");
	put_definition(s, out);
	json_put_key(out, "job");
	json_put_raw(out, (struct span){ s->job->data, s->job->size });
	json_put_key(out, "state");
	json_put_literal(out, "{");
	put_number(out, "runs", (int64_t)s->runs);
	if (s->last_wall) {
		uuid_format(&s->last_job, id);
		put_number(out, "last_wall", s->last_wall);
		put_text(out, "last_job", id);
	}
	if (s->due != TIME_NEVER) {
		put_number(out, "due", s->due);
		put_number(out, "instant", s->instant_wall);
		put_number(out, "due_wall", s->plan.every ? s->due + b->wall_offset : s->due);
		put_text(out, "boot", boot_id());
	}
	json_put_literal(out, "}}");
}

static int64_t number_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

void schedule_read_state(struct broker *b, const json_t *state, struct schedule *s)
{
	const char *boot = json_string_value(json_object_get(state, "boot"));
	const char *last = json_string_value(json_object_get(state, "last_job"));
	int64_t due = number_of(state, "due");

	s->runs = (uint64_t)number_of(state, "runs");
	if (last && uuid_parse(last, strlen(last), &s->last_job) == 0)
		s->last_wall = number_of(state, "last_wall");
	if (s->paused || due == 0 || !boot)
		return;
	/* The clock of `every` began anew with the machine: what the wall clock says must do. */
	if (s->plan.every && strcmp(boot, boot_id()) != 0)
		due = number_of(state, "due_wall") - b->wall_offset;
	if (s->plan.every)
		due = MIN(due, time_add(b->now, s->plan.every));
	s->due = due;
	s->instant_wall = number_of(state, "instant");
}

/* ---- for people and programs ---- */

static void put_instant(struct buf *out, const char *key, int64_t wall)
{
	json_put_key(out, key);
	json_put_instant(out, wall);
}

/* Its job, with what is secret redacted. */
static void put_job(struct broker *b, const struct schedule *s, struct buf *out)
{
	struct span text = { s->job->data, s->job->size };
	struct refusal unused;
	json_t *job;
	char *shown = NULL;

	if (json_read_object(text, "job", &job, &unused) == 0) {
		const struct job_type *type =
			type_find(b->types, span_of(json_string_value(json_object_get(job, "type"))));
		json_t *args = json_object_get(job, "args");

		if (type && args && type_has_secrets(type)) {
			type_redact(type, args);
			shown = json_dumps(job, JSON_COMPACT);
			text = shown ? span_of(shown) : SPAN("{}");
		}
		json_decref(job);
	}
	json_put_key(out, "job");
	json_put_raw(out, text);
	free(shown);
}

void schedule_view(struct broker *b, const struct schedule *s, bool whole, struct buf *out)
{
	char id[UUID_TEXT_SIZE];

	json_put_literal(out, "{");
	put_text(out, "name", s->name);
	put_definition(s, out);
	put_text(out, "type", s->type);
	if (!s->paused && s->due != TIME_NEVER)
		put_instant(out, "next_at", s->plan.every ? s->due + b->wall_offset : s->due);
	if (s->last_wall) {
		uuid_format(&s->last_job, id);
		put_instant(out, "last_at", s->last_wall);
		put_text(out, "last_job", id);
	}
	put_number(out, "runs", (int64_t)s->runs);
	if (s->trouble) {
		json_put_key(out, "last_error");
		json_put_literal(out, "{");
		put_text(out, "code", s->trouble->code);
		put_text(out, "message", s->trouble->message);
		json_put_literal(out, "}");
	}
	if (whole)
		put_job(b, s, out);
	json_put_literal(out, "}");
}
