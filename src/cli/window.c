#include "window.h"
#include "job_fields.h"
#include "order.h"
#include "output.h"
#include "results.h"
#include "session.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define HELD_MAX ((size_t)64 << 20) /* of rendered text that waits for its turn */
#define UNSENT_MAX                                                                                 \
	((size_t)256 << 10) /* of jobs that the socket hasn't taken: then it is waited for */
#define JOB_OVERHEAD 64     /* of a job's record beside its arguments, about */
#define TICK_NS                                                                                    \
	INT64_C(1000000000) /* the longest wait before looking at signals and the progress line */
#define RETRY_NS INT64_C(50000000) /* the shortest pause after a refusal */
#define CANCEL_NS INT64_C(2000000000)

/* slot: free -> under way -> free, and under way -> refused for now -> under way */
enum slot_state { SLOT_FREE, SLOT_UNDER_WAY, SLOT_PUT_OFF };

/* There may be a million of them: the label is an allocation of just its size. */
struct slot {
	uint64_t seq, place;
	int64_t start; /* when it was first handed over */
	char *label;
	uint32_t label_size, sent; /* neither exceeds 1 MiB */
	enum slot_state state;
};

struct run {
	struct context *x;
	struct window *w;
	struct slot *slots;
	unsigned *free_slots, free_count, put_off;
	int64_t resume_at; /* when jobs that were put off are handed over again */
	struct order order;
	struct job_text job;
	struct strbuf label, err;
	uint64_t seq;
	size_t unsent; /* bytes handed over since the socket had taken everything, at most */
	bool source_ended, source_waits, socket_full;
	int status;
};

static bool refill(struct run *r);
static int wait_for_event(struct run *r, struct ga_client_event *ret_event);
static void take_event(struct run *r, const struct ga_client_event *e);
static void settle(struct run *r, struct slot *slot, const struct ga_client_event *e);
static void stop(struct run *r);

static void run_done(struct run *r)
{
	for (unsigned i = 0; r->slots && i < r->w->jobs; i++)
		free(r->slots[i].label);
	free(r->slots);
	free(r->free_slots);
	order_done(&r->order);
	sb_free(&r->job.args);
	sb_free(&r->label);
	sb_free(&r->err);
}

static bool run_init(struct run *r, struct context *x, struct window *w)
{
	*r = (struct run){ .x = x,
			   .w = w,
			   .slots = calloc(w->jobs, sizeof(*r->slots)),
			   .free_slots = calloc(w->jobs, sizeof(*r->free_slots)) };
	if (!r->slots || !r->free_slots) {
		say("out of memory for %u jobs at once", w->jobs);
		return false;
	}
	while (r->free_count < w->jobs) {
		r->free_slots[r->free_count] = w->jobs - 1 - r->free_count;
		r->free_count++;
	}
	return true;
}

int window_run(struct context *x, struct window *w)
{
	struct run r;

	if (run_init(&r, x, w)) {
		while (r.status == STATUS_OK && !output_failed() && refill(&r)) {
			struct ga_client_event event;
			int got = wait_for_event(&r, &event);

			if (got == 1)
				take_event(&r, &event);
			else if (interrupted())
				r.status = interrupted_status();
			else if (got < 0 && got != -EINTR)
				r.status = session_failed(x, got);
			if (!x->quiet)
				tally_progress(&w->tally, ga_client_now());
		}
		stop(&r);
		if (r.status == STATUS_OK && w->tally.failed)
			r.status = STATUS_FAILED;
	} else {
		r.status = STATUS_FAILED;
	}
	progress_line("");
	run_done(&r);
	return r.status;
}

static unsigned under_way(const struct run *r)
{
	return r->w->jobs - r->free_count - r->put_off;
}

static int hand_over(struct run *r, struct slot *slot)
{
	const struct ga_submission submission = {
		.type = r->job.type,
		.options = r->job.options,
		.args = sb_string(&r->job.args),
		.tag = (uint64_t)(slot - r->slots) + 1,
		.want_result = !r->w->accepted_only,
		.want_accepted = r->w->accepted_only,
	};

	slot->state = SLOT_UNDER_WAY;
	slot->sent = (uint32_t)r->job.args.size;
	r->unsent += r->job.args.size + JOB_OVERHEAD;
	return ga_client_submit(r->x->client, &submission);
}

/* The job can't be handed over: it ends here, as if it had been refused. */
static void refuse_here(struct run *r, struct slot *slot, const char *code, const char *why)
{
	const struct ga_client_event e = { .kind = GA_EVENT_REFUSED,
					   .status = 422,
					   .code = { code, strlen(code) },
					   .message = { why, strlen(why) } };

	settle(r, slot, &e);
}

static void start(struct run *r, struct slot *slot)
{
	const char *why;
	int result;

	r->job.type = r->w->type;
	r->job.options = r->w->options;
	r->job.args.size = 0;
	why = r->w->build(r->w->arg, slot->label, slot->label_size, &r->job);
	if (why) {
		refuse_here(r, slot, "bad_argument", why);
		return;
	}
	result = hand_over(r, slot);
	if (result == -EMSGSIZE)
		refuse_here(r, slot, "too_large", "a job is at most 1 MiB");
	else if (result < 0)
		r->status = session_failed(r->x, result);
}

/* Whether the socket has to take some of what was handed over before there is more: it isn't to pile up here. */
static bool must_drain(struct run *r)
{
	int result;

	if (r->unsent < UNSENT_MAX)
		return false;
	result = ga_client_flush(r->x->client, 0);
	if (result == -ETIMEDOUT || result == -EINTR)
		return r->socket_full = true;
	if (result < 0)
		r->status = session_failed(r->x, result);
	r->unsent = 0;
	return false;
}

/* Those that were refused for now, once their time has come. False: still waiting. */
static bool resume(struct run *r)
{
	if (ga_client_now() < r->resume_at)
		return false;
	for (unsigned i = 0; i < r->w->jobs && r->put_off > 0 && !must_drain(r); i++) {
		if (r->slots[i].state == SLOT_PUT_OFF) {
			r->put_off--;
			start(r, &r->slots[i]);
		}
	}
	return true;
}

static int64_t now_wall(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static bool keep_label(struct slot *slot, const struct strbuf *label)
{
	char *copy = realloc(slot->label, label->size + 1);

	if (!copy)
		return false;
	if (label->size)
		memcpy(copy, label->data, label->size);
	slot->label = copy;
	slot->label_size = (uint32_t)label->size;
	return true;
}

/* Take the source's next label into a free slot. */
static enum source_result take_next(struct run *r)
{
	struct slot *slot = &r->slots[r->free_slots[r->free_count - 1]];
	enum source_result result;

	do {
		r->label.size = 0;
		result = r->w->next(r->w->arg, &r->label);
		if (result != SOURCE_ONE)
			return result;
		r->seq++;
	} while (r->w->log.file && joblog_skips(&r->w->log, r->seq));
	if (!keep_label(slot, &r->label)) {
		say("out of memory for %u jobs at once", r->w->jobs);
		return SOURCE_FAILED;
	}
	r->free_count--;
	slot->seq = r->seq;
	slot->place = r->w->ordered ? order_take(&r->order) : 0;
	slot->start = ga_client_now();
	start(r, slot);
	return SOURCE_ONE;
}

/* Hand over as much as there is room for. False: everything has ended. */
static bool refill(struct run *r)
{
	r->source_waits = r->socket_full = false;
	if (r->put_off > 0 && !resume(r))
		return true;
	while (!r->source_ended && r->free_count > 0 && r->put_off == 0 &&
	       r->order.held_bytes < HELD_MAX && !must_drain(r) && r->status == STATUS_OK) {
		enum source_result result = take_next(r);

		if (result == SOURCE_END || result == SOURCE_FAILED)
			r->source_ended = true;
		if (result == SOURCE_FAILED)
			r->status = STATUS_USAGE;
		if (result == SOURCE_WAIT) {
			r->source_waits = true;
			break;
		}
	}
	return r->free_count < r->w->jobs || !r->source_ended;
}

/* Both the source and the daemon may have something next, or the socket room. 0, or -errno. */
static int wait_for_either(struct run *r)
{
	struct pollfd p[2] = { { .fd = r->source_waits ? r->w->fd : -1, .events = POLLIN },
			       { .fd = ga_client_fd(r->x->client), .events = POLLIN } };
	int result;

	if (ga_client_wants_write(r->x->client))
		p[1].events |= POLLOUT;
	if (poll(p, 2, (int)(TICK_NS / 1000000)) < 0)
		return -errno;
	if (!p[0].revents)
		return 0;
	result = r->w->read(r->w->arg);
	if (result < 0 && result != -EINTR) {
		say("reading the list failed: %s", strerror(-result));
		r->status = STATUS_FAILED;
	}
	return 0;
}

static int wait_for_event(struct run *r, struct ga_client_event *ret_event)
{
	ga_client *client = r->x->client;
	int64_t until;
	int result;

	/* Somebody reads along, or the list comes in slowly: look first, and show what there is before waiting. */
	if (output_is_waited_for() || r->source_waits || r->socket_full) {
		result = ga_client_next(client, 0, ret_event);
		if (result != 0)
			return result;
		output_flush();
	}
	if (r->w->log.file && output_is_waited_for())
		fflush(r->w->log.file);
	if (r->source_waits || r->socket_full) {
		result = wait_for_either(r);
		return result < 0 ? result : ga_client_next(client, 0, ret_event);
	}
	if (under_way(r) == 0 && r->put_off == 0)
		return 0; /* all of them ended as they were handed over */
	until = ga_client_now() + TICK_NS;
	if (r->put_off > 0 && r->resume_at < until)
		until = r->resume_at;
	return ga_client_next(client, until, ret_event);
}

static void take_event(struct run *r, const struct ga_client_event *e)
{
	struct slot *slot = e->tag > 0 && e->tag <= r->w->jobs ? &r->slots[e->tag - 1] : NULL;
	int64_t pause = (int64_t)e->retry_after_ms * 1000000;

	if (!slot || slot->state != SLOT_UNDER_WAY)
		return;
	if (e->kind == GA_EVENT_REFUSED && (e->status == 429 || e->status == 503)) {
		slot->state = SLOT_PUT_OFF;
		r->put_off++;
		r->resume_at = ga_client_now() + (pause > RETRY_NS ? pause : RETRY_NS);
		return;
	}
	settle(r, slot, e);
}

static void log_outcome(struct run *r, const struct slot *slot, const struct ga_client_event *e,
			int64_t took_ns)
{
	struct strbuf command = { 0 };

	r->w->command(r->w->arg, slot->label, slot->label_size, &command);
	joblog_add(&r->w->log, &(struct joblog_line){ .seq = slot->seq,
						      .start_wall = now_wall() - took_ns,
						      .runtime_s = e->elapsed_us / 1e6,
						      .sent = slot->sent,
						      .received = e->body.size,
						      .exit_value = event_ok(e) ? 0 : 1,
						      .command = sb_string(&command) });
	sb_free(&command);
}

static void show(struct strbuf *err)
{
	if (err->size)
		error_put(err->data, err->size);
	err->size = 0;
	output_check();
}

/* Results of a JSON array are rendered without what stands between them: who comes first is known here only. */
static void begin_element(struct run *r)
{
	if (r->w->array)
		sb_text(output(), r->w->elements++ ? ",\n" : "[\n");
}

/* Straight to where it belongs. */
static void render_now(struct run *r, const struct outcome *o)
{
	begin_element(r);
	r->w->render(r->w->arg, o, output(), &r->err);
	show(&r->err);
}

/* What was kept until its turn. */
static void show_kept(struct run *r)
{
	struct strbuf out, err;

	while (order_pop(&r->order, &out, &err)) {
		if (out.size)
			begin_element(r);
		sb_put(output(), out.data, out.size);
		show(&err);
		sb_free(&out);
		sb_free(&err);
	}
}

static void show_in_order(struct run *r, const struct slot *slot, const struct outcome *o)
{
	struct strbuf out = { 0 }, err = { 0 };

	if (order_is_first(&r->order, slot->place))
		render_now(r, o);
	else
		r->w->render(r->w->arg, o, &out, &err);
	order_finish(&r->order, slot->place, &out, &err);
	show_kept(r);
}

/* The job has ended: count it, log it, show it, free its slot. */
static void settle(struct run *r, struct slot *slot, const struct ga_client_event *e)
{
	const struct outcome o = {
		.seq = slot->seq, .label = slot->label, .label_size = slot->label_size, .event = e
	};
	int64_t took_ns = ga_client_now() - slot->start;

	tally_add(&r->w->tally, e, took_ns);
	if (r->w->log.file)
		log_outcome(r, slot, e, took_ns);
	if (r->w->ordered)
		show_in_order(r, slot, &o);
	else
		render_now(r, &o);
	slot->state = SLOT_FREE;
	r->free_slots[r->free_count++] = (unsigned)(slot - r->slots);
}

/* Cancel what is still under way, and don't leave before the daemon knows. */
static void stop(struct run *r)
{
	int64_t deadline = ga_client_now() + CANCEL_NS;
	struct strbuf out, err;
	int result = 0;

	/* Those behind one that will never come: what ended is shown all the same. */
	for (uint64_t i = r->order.first; i < r->order.next; i++) {
		out = err = (struct strbuf){ 0 };
		if (!r->order.ring[i & (r->order.size - 1)].done)
			order_finish(&r->order, i, &out, &err);
	}
	show_kept(r);
	if (r->w->array)
		sb_text(output(), r->w->elements ? "\n]\n" : "[]\n");
	output_flush();
	for (unsigned i = 0; i < r->w->jobs && result == 0 && !job_fields.detach; i++) {
		if (r->slots[i].state == SLOT_UNDER_WAY)
			result = ga_client_cancel(r->x->client, i + 1);
	}
	if (result == 0 && under_way(r) > 0)
		result = ga_client_flush(r->x->client, deadline);
	if (under_way(r) > 0 && !r->x->quiet)
		say("%u jobs had not ended%s", under_way(r),
		    job_fields.detach ? ": they go on"
		    : result == 0     ? ": cancelled"
				      : "");
}
