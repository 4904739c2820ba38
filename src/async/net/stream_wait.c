/*
 * stream_wait.c — tasks that wait for a stream's descriptor, and the operations tried for them on the loop's stack.
 */
#include "clock.h"
#include "stream_io.h"
#include "task.h"

#include <errno.h>

#define CHUNK_MAX 65536u

struct stream_wait {
	struct park park;
	struct loop_timer timer;
	struct ga_stream *stream;
	/* of stream_try(): */
	stream_attempt_fn attempt; /* NULL: to be ready is all that is waited for */
	void *arg;
	struct loop_call call;
	int64_t deadline;
	bool waiting;   /* an attempt has said -EAGAIN */
	bool cancelled; /* before that */
};

static struct stream_wait **place_of(struct ga_stream *s, unsigned event);
static int watch_update(struct ga_stream *s);
static void wait_end(struct stream_wait *w, struct stream_wait **place);
static void on_attempt(struct loop_call *c);
static void on_ready(struct stream_wait *w);
static void on_deadline(struct loop_timer *t);
static enum park_answer wait_abort(struct park *p);
static enum park_answer try_abort(struct park *p);

bool stream_is_urged(const struct ga_stream *s, int64_t deadline)
{
	const struct task *t = task_current();

	return deadline <= loop_now(s->watch.loop) || !t || task_interrupted(t);
}

void stream_got(struct ga_stream *s, size_t bytes)
{
	if (bytes == s->chunk)
		s->chunk = MIN(s->chunk * 2, CHUNK_MAX);
}

void stream_set_idle(struct ga_stream *s, bool idle)
{
	if (s->idle == idle)
		return;
	s->idle = idle;
	if (s->watch.loop) /* which may have ended before the stream is closed */
		loop_hold(s->watch.loop, idle ? -1 : 1);
}

void stream_flushing(struct ga_stream *s, bool flushing)
{
	if (s->flushing == flushing)
		return;
	s->flushing = flushing;
	(void)!watch_update(s); /* without memory the next call on the stream sends it */
}

int stream_wait(struct ga_stream *s, unsigned event, int64_t deadline)
{
	struct stream_wait **place = place_of(s, event), w = { .stream = s };
	int r;

	if (*place)
		return -EBUSY;
	if (s->watch.loop != loop_current())
		return -EPERM;
	r = park_begin(&w.park, wait_abort);
	if (r < 0)
		return r;
	park_for_fd(&w.park, event == LOOP_READ ? "readable" : "writable", s->watch.fd);
	*place = &w;
	loop_timer_init(&w.timer, on_deadline, &w);
	r = watch_update(s);
	if (r >= 0)
		r = loop_timer_set(s->watch.loop, &w.timer, deadline);
	if (r >= 0)
		r = park_wait(&w.park);
	wait_end(&w, place);
	return r;
}

int stream_try(struct ga_stream *s, unsigned event, stream_attempt_fn attempt, void *arg,
	       int64_t deadline)
{
	struct stream_wait **place = place_of(s, event);
	struct stream_wait w = { .stream = s, .attempt = attempt, .arg = arg, .deadline = deadline };
	int r;

	if (*place)
		return -EBUSY;
	if (s->watch.loop != loop_current())
		return -EPERM;
	r = park_begin(&w.park, try_abort);
	if (r < 0)
		return r;
	park_for_fd(&w.park, event == LOOP_READ ? "readable" : "writable", s->watch.fd);
	*place = &w;
	loop_timer_init(&w.timer, on_deadline, &w);
	loop_call_init(&w.call, on_attempt, &w);
	loop_call_soon(s->watch.loop, &w.call);
	r = park_wait(&w.park);
	loop_call_stop(&w.call);
	wait_end(&w, place);
	return r;
}

static struct stream_wait **place_of(struct ga_stream *s, unsigned event)
{
	return event == LOOP_READ ? &s->reader : &s->writer;
}

static void wait_end(struct stream_wait *w, struct stream_wait **place)
{
	loop_timer_stop(w->stream->watch.loop, &w->timer);
	*place = NULL;
	(void)!watch_update(w->stream); /* it watches for less now */
}

/* Watch for what is waited for, and go on watching for reading. */
static int watch_update(struct ga_stream *s)
{
	unsigned events = (s->reader ? LOOP_READ : s->watch.events & LOOP_READ) |
			  (s->writer || s->flushing ? LOOP_WRITE : 0);
	int r;

	stream_set_idle(s, false);
	r = io_watch_change(&s->watch, events);
	stream_set_idle(s, r >= 0 && events != 0 && !s->reader && !s->writer && !s->flushing);
	return r;
}

void stream_on_event(struct io_watch *w, unsigned events)
{
	struct ga_stream *s = w->arg;

	if (events & LOOP_READ && s->reader) {
		on_ready(s->reader);
	} else if (events & LOOP_READ) { /* it waits in the kernel; the next read tries first */
		stream_set_idle(s, false);
		(void)!io_watch_change(w, w->events & ~LOOP_READ);
	}
	if (events & LOOP_WRITE && s->flushing)
		s->transport->flush(s);
	if (events & LOOP_WRITE && s->writer)
		on_ready(s->writer);
}

static void on_attempt(struct loop_call *c)
{
	struct stream_wait *w = c->arg;
	int r = w->attempt(w->stream, w->arg);

	if ((r == -EAGAIN || r == -EINPROGRESS) && w->cancelled) {
		park_wake(&w->park, -ECANCELED);
	} else if (r == -EINPROGRESS) {
		loop_call_soon(w->stream->watch.loop, c);
	} else if (r == -EAGAIN) {
		w->waiting = true;
		r = watch_update(w->stream);
		if (r >= 0)
			r = loop_timer_set(w->stream->watch.loop, &w->timer, w->deadline);
		if (r < 0)
			park_wake(&w->park, r);
	} else {
		park_wake(&w->park, r);
	}
}

static void on_ready(struct stream_wait *w)
{
	if (w->park.woken)
		return; /* its task is about to run */
	if (!w->attempt)
		park_wake(&w->park, 0);
	else if (w->waiting)
		on_attempt(&w->call);
}

static void on_deadline(struct loop_timer *t)
{
	struct stream_wait *w = t->arg;

	park_wake(&w->park, -ETIMEDOUT);
}

static enum park_answer wait_abort(struct park *p GA_UNUSED)
{
	return PARK_ABORTED; /* its frame undoes the rest */
}

/* What is there is had by a cancelled task too, as where no stack is changed for it. */
static enum park_answer try_abort(struct park *p)
{
	struct stream_wait *w = container_of(p, struct stream_wait, park);

	if (w->waiting)
		return PARK_ABORTED;
	w->cancelled = true;
	return PARK_FORWARDED;
}
