#include "schedules.h"
#include "clock.h"
#include "keep.h"
#include "log.h"
#include "text.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define FIRED_A_TURN 256 /* the doors must not wait for a thousand schedules of midnight */
#define REFUSED_WAIT NSEC_PER_SEC

/* The schedules that go by one clock, and a timer on it. */
struct schedule_clock {
	struct broker *broker;
	clockid_t id;
	struct heap due;
	struct io_watch watch;
	int fd; /* -1: none */
};

struct schedules {
	struct schedule **sorted; /* by name */
	size_t count, size;
	struct schedule_clock wall, boot;
};

static int clock_open(struct broker *b, struct schedule_clock *c, clockid_t id);
static void clock_close(struct schedule_clock *c);
static void arm(struct schedule_clock *c);
static void on_clock(struct io_watch *w, unsigned events);
static void set_timer(struct broker *b, struct schedule *s);
static void settle(struct broker *b, struct schedule *s, bool absent);
static void fire(struct broker *b, struct schedule *s, int64_t instant_wall);
static void save(struct broker *b, const struct schedule *s);

int schedules_new(struct broker *b)
{
	struct schedules *all = calloc(1, sizeof(*all));
	int r;

	if (!all)
		return -ENOMEM;
	b->schedules = all;
	all->wall.fd = all->boot.fd = -1;
	r = clock_open(b, &all->wall, CLOCK_REALTIME);
	return r < 0 ? r : clock_open(b, &all->boot, CLOCK_BOOTTIME);
}

static int clock_open(struct broker *b, struct schedule_clock *c, clockid_t id)
{
	c->broker = b;
	c->id = id;
	heap_init(&c->due);
	c->fd = timerfd_create(id, TFD_NONBLOCK | TFD_CLOEXEC);
	return c->fd < 0 ? -errno : 0;
}

static void clock_close(struct schedule_clock *c)
{
	if (c->watch.loop)
		io_watch_stop(&c->watch);
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->watch.loop = NULL;
}

void schedules_stop(struct broker *b)
{
	clock_close(&b->schedules->wall);
	clock_close(&b->schedules->boot);
}

void schedules_free(struct broker *b)
{
	struct schedules *all = b->schedules;

	if (!all)
		return;
	schedules_stop(b);
	for (size_t i = 0; i < all->count; i++) {
		schedule_done(all->sorted[i]);
		free(all->sorted[i]);
	}
	heap_done(&all->wall.due);
	heap_done(&all->boot.due);
	free(all->sorted);
	free(all);
	b->schedules = NULL;
}

/* ---- the table ---- */

/* Where the name is, or would be: the first that isn't before it. */
static size_t place_of(const struct schedules *all, struct span name)
{
	size_t low = 0, high = all->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const char *other = all->sorted[middle]->name;
		size_t size = strlen(other);
		int order = memcmp(other, name.data, MIN(size, name.size));

		if (order < 0 || (order == 0 && size < name.size))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_named(const struct schedules *all, size_t place, struct span name)
{
	return place < all->count && span_equal(span_of(all->sorted[place]->name), name);
}

struct schedule *schedule_find(struct broker *b, struct span name)
{
	size_t place = place_of(b->schedules, name);

	return is_named(b->schedules, place, name) ? b->schedules->sorted[place] : NULL;
}

struct schedule *schedule_after(struct broker *b, struct span name)
{
	const struct schedules *all = b->schedules;
	size_t place = place_of(all, name);

	place += is_named(all, place, name);
	return place < all->count ? all->sorted[place] : NULL;
}

/* A new one of that name, without a definition; NULL: no memory. */
static struct schedule *add(struct schedules *all, struct span name)
{
	size_t place = place_of(all, name);
	struct schedule *s = calloc(1, sizeof(*s));

	if (s && all->count == all->size) {
		size_t size = MAX(2 * all->size, (size_t)16);
		struct schedule **grown = reallocarray(all->sorted, size, sizeof(struct schedule *));

		if (!grown) {
			free(s);
			return NULL;
		}
		all->sorted = grown;
		all->size = size;
	}
	if (!s)
		return NULL;
	memcpy(s->name, name.data, name.size);
	memmove(all->sorted + place + 1, all->sorted + place,
		(all->count - place) * sizeof(struct schedule *));
	all->sorted[place] = s;
	all->count++;
	return s;
}

static void forget(struct broker *b, struct schedule *s)
{
	struct schedules *all = b->schedules;
	size_t place = place_of(all, span_of(s->name));

	heap_remove(s->plan.every ? &all->boot.due : &all->wall.due, &s->timer);
	all->count--;
	memmove(all->sorted + place, all->sorted + place + 1,
		(all->count - place) * sizeof(struct schedule *));
	schedule_done(s);
	free(s);
}

void schedule_remove(struct broker *b, struct schedule *s)
{
	if (keep_document(b, SPAN(SCHEDULE_KIND), span_of(s->name), (struct span){ 0 }) < 0)
		log_error("no memory to remove a schedule from the store");
	forget(b, s);
}

/* ---- when they are due ---- */

static struct schedule_clock *clock_of(struct broker *b, const struct schedule *s)
{
	return s->plan.every ? &b->schedules->boot : &b->schedules->wall;
}

/* A daemon that has just begun may still take the wall clock for later than it is (recover.c): not so here. */
static int64_t now_of(const struct broker *b, const struct schedule *s)
{
	return s->plan.every ? b->now : clock_wall();
}

static void set_due(struct broker *b, struct schedule *s, int64_t due)
{
	s->due = due;
	s->instant_wall = s->plan.every && due != TIME_NEVER ? due + b->wall_offset : due;
	set_timer(b, s);
}

/* When it is to be looked at: its own time, or a moment from now if it owes a firing. arm() follows. */
static void set_timer(struct broker *b, struct schedule *s)
{
	struct schedule_clock *c = clock_of(b, s);
	int64_t at = s->owed_wall ? MIN(s->due, now_of(b, s) + REFUSED_WAIT) : s->due;

	if (s->paused || at == TIME_NEVER)
		heap_remove(&c->due, &s->timer);
	else if (heap_set(&c->due, &s->timer, at) < 0)
		log_error("no memory for schedule %s: it isn't fired", s->name);
}

/* The clock was set: what was to come may come sooner or later. What has become due by it is settled as such. */
static void reckon_anew(struct broker *b)
{
	struct schedules *all = b->schedules;

	for (size_t i = 0; i < all->count; i++) {
		struct schedule *s = all->sorted[i];
		int64_t now = now_of(b, s);

		if (!s->plan.every && !s->paused && s->due > now)
			set_due(b, s, plan_next(&s->plan, now));
	}
}

static int set_clock(struct schedule_clock *c)
{
	int64_t due = heap_next_due(&c->due);
	struct itimerspec at = { 0 };
	int flags = TFD_TIMER_ABSTIME | (c->id == CLOCK_REALTIME ? TFD_TIMER_CANCEL_ON_SET : 0);

	if (due != TIME_NEVER) {
		at.it_value.tv_sec = due / NSEC_PER_SEC;
		at.it_value.tv_nsec = MAX(due % NSEC_PER_SEC, (int64_t)1); /* all 0 would disarm it */
	}
	return timerfd_settime(c->fd, flags, &at, NULL) < 0 ? -errno : 0;
}

static void arm(struct schedule_clock *c)
{
	int r = c->fd < 0 ? 0 : set_clock(c);

	if (r == -ECANCELED) { /* the clock was set just now */
		reckon_anew(c->broker);
		r = set_clock(c);
	}
	if (r < 0 && r != -ECANCELED)
		log_error("the timer of schedules can't be set: %s", strerror(-r));
}

static void on_clock(struct io_watch *w, unsigned events GA_UNUSED)
{
	struct schedule_clock *c = w->arg;
	struct broker *b = c->broker;
	uint64_t expirations;
	bool set = read(c->fd, &expirations, sizeof(expirations)) < 0 && errno == ECANCELED;

	broker_engine(b);
	if (set)
		reckon_anew(b);
	for (int i = 0; i < FIRED_A_TURN; i++) {
		int64_t now = c->id == CLOCK_REALTIME ? clock_wall() : b->now;
		struct heap_node *node = heap_pop_due(&c->due, now);

		if (!node)
			break;
		settle(b, container_of(node, struct schedule, timer), false);
	}
	arm(c);
}

/* Its timer has come. */
static void settle(struct broker *b, struct schedule *s, bool absent)
{
	int64_t now = now_of(b, s), instant, made_good = s->instant_wall;

	if (s->due > now) { /* it owes one */
		if (s->owed_wall)
			fire(b, s, s->owed_wall);
		set_timer(b, s);
		return;
	}
	int64_t next = plan_settle(&s->plan, s->due, now, absent, &instant);

	if (instant && !s->plan.every)
		made_good = instant;
	s->owed_wall = 0;
	set_due(b, s, next);
	if (instant)
		fire(b, s, made_good);
	else
		log_notice("schedule %s: what was due while nobody was there is passed over", s->name);
	set_timer(b, s);
	save(b, s);
}

static void put_trouble(struct schedule *s, const struct refusal *r)
{
	struct schedule_trouble *t = s->trouble ? s->trouble : calloc(1, sizeof(*t));

	if (!t)
		return;
	snprintf(t->code, sizeof(t->code), "%s", r->code);
	snprintf(t->message, sizeof(t->message), "%s", r->message);
	s->trouble = t;
}

/* A commit that refuses comes too late: what is told here is owed, and tried again. */
static int check_space(const struct broker *b, const json_t *object, struct refusal *r)
{
	const char *durability = json_string_value(json_object_get(object, "durability"));
	struct store_facts facts = { 0 };

	if (b->store && (!durability || strcmp(durability, "memory") != 0))
		store_facts(b->store, &facts);
	return facts.full
		       ? refuse(r, 503, "store_full", "",
				"the disk is full: durable jobs are refused until there is room (store.reserve_bytes)")
		       : 0;
}

/* Hand its job in under a key, or without one. */
static int hand_in(struct broker *b, struct schedule *s, const char *key,
		   struct submitted *ret_submitted, struct refusal *r)
{
	const struct submit_origin origin = { 0 };
	struct span text = { s->job->data, s->job->size };
	json_t *object;
	int error = json_read_object(text, "job", &object, r);

	if (error < 0)
		return error;
	if (key)
		json_object_set_new(object, "idempotency_key", json_string(key));
	error = check_space(b, object, r);
	if (error == 0)
		error = submit_object(b, object, text, &origin, ret_submitted, r);
	json_decref(object);
	return error;
}

static void note_run(struct schedule *s, const struct submitted *submitted, int64_t instant_wall)
{
	s->last_job = submitted->job->id;
	s->last_wall = instant_wall;
	s->runs += !submitted->duplicate;
	s->owed_wall = 0;
	free(s->trouble);
	s->trouble = NULL;
}

static void make_key(const struct schedule *s, int64_t instant_wall, char *out, size_t out_size)
{
	time_t seconds = instant_wall / NSEC_PER_SEC;
	int rest = (int)(instant_wall % NSEC_PER_SEC);
	char instant[40];
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(instant, sizeof(instant), "%Y-%m-%dT%H:%M:%S", &tm);
	if (rest)
		snprintf(out, out_size, "schedule/%s/%s.%09dZ", s->name, instant, rest);
	else
		snprintf(out, out_size, "schedule/%s/%sZ", s->name, instant);
}

static void fire(struct broker *b, struct schedule *s, int64_t instant_wall)
{
	char key[128];
	struct submitted submitted;
	struct refusal r;

	make_key(s, instant_wall, key, sizeof(key));
	if (hand_in(b, s, key, &submitted, &r) == 0) {
		note_run(s, &submitted, instant_wall);
		return;
	}
	if (!s->owed_wall)
		log_warning("schedule %s: its job is refused: %s", s->name, r.message);
	put_trouble(s, &r);
	s->owed_wall = r.status == 429 || r.status == 503 ? instant_wall : 0;
}

int schedule_run(struct broker *b, struct schedule *s, struct submitted *ret_submitted,
		 struct refusal *r)
{
	int error;

	broker_engine(b);
	error = hand_in(b, s, NULL, ret_submitted, r);
	if (error < 0)
		return error;
	note_run(s, ret_submitted, b->now + b->wall_offset);
	save(b, s);
	return 0;
}

/* ---- definitions ---- */

static bool same_times(const struct schedule *a, const struct schedule *b)
{
	if (a->plan.every || b->plan.every)
		return a->plan.every == b->plan.every;
	return strcmp(a->cron, b->cron) == 0 && strcmp(a->tz, b->tz) == 0;
}

/* What it was comes with it, but for what is defined anew. */
static void redefine(struct broker *b, struct schedule *s, struct schedule *definition)
{
	bool same = s->job && same_times(s, definition);

	if (s->job)
		heap_remove(&clock_of(b, s)->due, &s->timer);
	free(s->cron);
	free(s->tz);
	zone_free(s->plan.zone);
	bytes_unref(s->job);
	s->plan = definition->plan;
	s->cron = definition->cron;
	s->tz = definition->tz;
	s->job = definition->job;
	memcpy(s->type, definition->type, sizeof(s->type));
	s->paused = definition->paused;
	if (!same)
		s->owed_wall = 0;
	set_due(b, s, same && s->due > now_of(b, s) ? s->due : plan_next(&s->plan, now_of(b, s)));
}

int schedule_put(struct broker *b, struct span name, struct span text, struct refusal *r)
{
	struct schedule *s = schedule_find(b, name), definition = { .paused = s && s->paused };
	bool fresh = !s;
	json_t *object;
	int error;

	broker_engine(b);
	if (!name_valid(name.data, name.size))
		return refuse(r, 422, "bad_field", "name",
			      "the name \"%.*s\": takes 1 to 64 letters, digits, '.', '_' or '-', not starting with '.'",
			      (int)MIN(name.size, (size_t)64), name.data);
	if (fresh && b->schedules->count >= SCHEDULES_MAX)
		return refuse(r, 429, "too_many_schedules", "",
			      "there are %d schedules, and there may be no more", SCHEDULES_MAX);
	error = json_read_object(text, "the schedule", &object, r);
	if (error < 0)
		return error;
	error = schedule_read(b, object, text, &definition, r);
	json_decref(object);
	if (error == 0 && fresh)
		s = add(b->schedules, name);
	if (error == 0 && !s)
		error = refuse(r, 503, "no_memory", "", "the daemon is out of memory: try again later");
	if (error < 0) {
		schedule_done(&definition);
		return error;
	}
	redefine(b, s, &definition);
	arm(clock_of(b, s));
	save(b, s);
	return fresh;
}

void schedule_pause(struct broker *b, struct schedule *s, bool paused)
{
	broker_engine(b);
	if (s->paused == paused)
		return;
	s->paused = paused;
	s->owed_wall = 0;
	set_due(b, s, plan_next(&s->plan, now_of(b, s)));
	arm(clock_of(b, s));
	save(b, s);
}

static void save(struct broker *b, const struct schedule *s)
{
	struct buf text = BUF_INIT;

	schedule_write(b, s, &text);
	if (keep_document(b, SPAN(SCHEDULE_KIND), span_of(s->name),
			  (struct span){ buf_data(&text), buf_size(&text) }) < 0)
		log_error("no memory to save schedule %s", s->name);
	buf_done(&text);
}

/* ---- from one life to the next ---- */

void schedules_restore(struct broker *b, struct span name, struct span document)
{
	struct schedule *s = NULL, definition = { 0 };
	struct refusal r;
	json_t *object = NULL, *state = NULL;
	int error = json_read_object(document, "the schedule", &object, &r);

	broker_engine(b);
	if (error == 0) {
		state = json_incref(json_object_get(object, "state"));
		json_object_del(object, "state");
	}
	if (error == 0)
		error = schedule_read(b, object, document, &definition, &r);
	if (error == 0)
		s = add(b->schedules, name);
	if (s) {
		redefine(b, s, &definition);
		schedule_read_state(b, state, s);
	} else {
		log_error("the schedule %.*s that was kept can't be used, and rests: %s",
			  (int)name.size, name.data, error < 0 ? r.message : "no memory");
		schedule_done(&definition);
	}
	json_decref(state);
	json_decref(object);
}

int schedules_start(struct broker *b)
{
	struct schedules *all = b->schedules;

	broker_engine(b);
	for (size_t i = 0; i < all->count; i++) {
		struct schedule *s = all->sorted[i];

		if (s->paused)
			continue;
		if (s->due <= now_of(b, s))
			settle(b, s, true);
		else if (s->plan.every)
			set_timer(b, s);
		else /* the clock or the zone's rules may be others now */
			set_due(b, s, plan_next(&s->plan, now_of(b, s)));
	}
	arm(&all->wall);
	arm(&all->boot);
	int r = io_watch_start(b->loop, &all->wall.watch, all->wall.fd, LOOP_READ, on_clock,
			       &all->wall);

	return r < 0 ? r
		     : io_watch_start(b->loop, &all->boot.watch, all->boot.fd, LOOP_READ, on_clock,
				      &all->boot);
}
