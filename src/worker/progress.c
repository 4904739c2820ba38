#include "progress.h"
#include "clock.h"
#include "runner_internal.h"
#include "text.h"
#include <assert.h>
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct progress {
	pthread_mutex_t lock;
	struct ga_job *job; /* NULL: it has gone, and the call frees this */
	struct buf log;     /* its latest lines */
	uint64_t log_end;   /* bytes that were ever logged: where the last of `log` is */
	uint64_t log_sent;  /* of them, told to the broker */
	uint32_t fraction;  /* PROGRESS_UNKNOWN, or in millionths */
	char text[PROGRESS_TEXT_MAX];
	bool untold; /* the fraction and the text are */
	bool armed;  /* the call or the timer will tell */
	bool called; /* the call is queued */
	struct loop_call call;
	struct loop_timer timer;
	int64_t told_at;
};

static void on_call(struct loop_call *c);
static void on_timer(struct loop_timer *t);

/* Made by the first word; NULL: no memory. */
static struct progress *progress_of(ga_job *job)
{
	struct attempt_output *o = attempt_output(job);
	struct progress *p;

	assert(job->magic == ATTEMPT_MAGIC);
	if (!o || o->progress)
		return o ? o->progress : NULL;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	pthread_mutex_init(&p->lock, NULL);
	p->job = job;
	p->fraction = PROGRESS_UNKNOWN;
	loop_call_init(&p->call, on_call, p);
	loop_timer_init(&p->timer, on_timer, p);
	o->progress = p;
	return p;
}

static bool is_on_thread(const struct ga_job *job)
{
	return attempt_type(job)->declaration.work;
}

/* Something was said: have the loop tell the broker in a moment. Under the lock, which this ends. */
static void said(struct progress *p)
{
	struct loop *l = attempt_runner(p->job)->loop;
	bool on_thread = is_on_thread(p->job), first = !p->armed;

	p->armed = true;
	p->called |= first;
	pthread_mutex_unlock(&p->lock);
	if (!first)
		return;
	if (on_thread)
		loop_call_from_thread(l, &p->call);
	else
		loop_call_soon(l, &p->call);
}

int ga_job_progress(ga_job *job, double fraction, const char *text)
{
	struct progress *p = progress_of(job);

	if (!p)
		return -ENOMEM;
	pthread_mutex_lock(&p->lock);
	p->fraction = isnan(fraction) || fraction < 0 ? PROGRESS_UNKNOWN
						      : (uint32_t)(MIN(fraction, 1.0) * 1e6 + 0.5);
	text_escape(text ? text : "", text ? strlen(text) : 0, p->text, sizeof(p->text));
	p->untold = true;
	said(p);
	return 0;
}

/* The oldest lines leave, whole. */
static void trim_log(struct progress *p)
{
	while (buf_size(&p->log) > LOG_KEPT) {
		const char *end = memchr(buf_data(&p->log), '\n', buf_size(&p->log));

		buf_consume(&p->log, end ? (size_t)(end - buf_data(&p->log)) + 1 : buf_size(&p->log));
	}
}

static int put_line(struct progress *p, const char *when, struct span line)
{
	char shown[LOG_LINE_MAX];
	size_t before = p->log.end;
	int error = buf_append_text(&p->log, when);

	text_escape(line.data, line.size, shown, sizeof(shown));
	if (error == 0)
		error = buf_append_text(&p->log, shown);
	if (error == 0)
		error = buf_append_text(&p->log, "\n");
	if (error < 0)
		p->log.end = before;
	else
		p->log_end += strlen(when) + strlen(shown) + 1;
	return error;
}

static void format_now(char *out, size_t out_size)
{
	int64_t now = clock_wall();
	time_t seconds = now / NSEC_PER_SEC;
	struct tm tm;
	size_t used;

	gmtime_r(&seconds, &tm);
	used = strftime(out, out_size, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out + used, out_size - used, ".%03dZ ", (int)(now % NSEC_PER_SEC / NSEC_PER_MSEC));
}

int ga_job_log(ga_job *job, const char *line)
{
	struct progress *p = progress_of(job);
	char when[40];
	int error;

	if (!p)
		return -ENOMEM;
	format_now(when, sizeof(when));
	pthread_mutex_lock(&p->lock);
	do {
		size_t size = strcspn(line, "\n");

		error = put_line(p, when, (struct span){ line, size });
		line += size + (line[size] == '\n');
	} while (error == 0 && *line);
	trim_log(p);
	said(p);
	return error;
}

/* ---- the loop's side ---- */

static void on_call(struct loop_call *c)
{
	struct progress *p = c->arg;

	pthread_mutex_lock(&p->lock);
	struct ga_job *job = p->job;

	p->called = false;
	pthread_mutex_unlock(&p->lock);
	if (!job) {
		progress_free(p);
		return;
	}
	struct loop *l = attempt_runner(job)->loop;
	int64_t due = p->told_at + PROGRESS_INTERVAL;

	if (due <= loop_now(l) || loop_timer_set(l, &p->timer, due) < 0)
		on_timer(&p->timer);
}

static void on_timer(struct loop_timer *t)
{
	struct progress *p = t->arg;

	/* What an abandoned handler still says is nobody's business. */
	if (p->job->state == ATTEMPT_RUNNING && !p->job->forgotten)
		progress_flush(p->job);
}

void progress_flush(struct ga_job *job)
{
	struct progress *p = job->output ? job->output->progress : NULL;
	struct runner *r = attempt_runner(job);
	struct record record = { .kind = RECORD_PROGRESS, .ref = job->token };

	if (!p || !r->online)
		return;
	pthread_mutex_lock(&p->lock);
	uint64_t kept_from = p->log_end - buf_size(&p->log), from = MAX(p->log_sent, kept_from);

	p->armed = false;
	if (p->untold || from < p->log_end) {
		record.progress.fraction = p->fraction;
		record.progress.log_from = from;
		record.progress.text = span_of(p->text);
		record.progress.log = (struct span){ buf_data(&p->log) + (from - kept_from),
						     (size_t)(p->log_end - from) };
		r->send(r->arg, &record); /* copies */
		p->untold = false;
		p->log_sent = p->log_end;
		p->told_at = loop_now(r->loop);
	}
	pthread_mutex_unlock(&p->lock);
}

void progress_repeat(struct ga_job *job)
{
	struct progress *p = job->output ? job->output->progress : NULL;

	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->untold = true;
	p->log_sent = 0;
	pthread_mutex_unlock(&p->lock);
	progress_flush(job);
}

void progress_free(struct progress *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	if (p->job) {
		struct loop *l = attempt_runner(p->job)->loop;

		loop_timer_stop(l, &p->timer);
		if (p->called && !is_on_thread(p->job)) {
			loop_call_stop(&p->call);
			p->called = false;
		}
	}
	bool called = p->called;

	p->job = NULL;
	pthread_mutex_unlock(&p->lock);
	if (called)
		return; /* a call from a thread can't be stopped: on_call() comes back here */
	pthread_mutex_destroy(&p->lock);
	buf_done(&p->log);
	free(p);
}

size_t progress_size(const struct progress *p)
{
	return p ? sizeof(*p) + buf_size(&p->log) : 0;
}
