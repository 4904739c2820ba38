/*
 * Deaths of workers: what becomes of the jobs that they held, and who is to blame.
 *
 * What was on the CPU is charged. From MAX_CRASHES charges on, a job runs alone in the sacrificial worker, and fails for
 * good if that dies, too. Where nothing is known (SIGKILL, want of memory, a hang of the loop itself), nobody is charged:
 * those that were there become suspects and run there together. Each time that the sacrificial worker dies in the same
 * way, those that it held are halved, and each half runs on its own; one that is left alone and still dies fails. So the
 * one among n that does it is found in about log2(n) deaths, and no other fails.
 */
#include "engine_durable.h"
#include "engine_parts.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

struct past_death {
	struct list node;
	uint32_t slot;
	uint64_t incarnation;
	struct engine_death death;
	struct suspects *set; /* of those that it held; NULL: nobody yet, or no set */
	bool tried;           /* a set was made, or there was no memory for one */
};

/* One death, while the worker's jobs are gone through. */
struct inquest {
	const struct engine_death *death;
	const struct worker *w;
	bool apart;                 /* a set, or a lone suspect, ran in the sacrificial worker */
	bool open;                  /* whoever was there may have done it */
	unsigned sent;              /* jobs that were there */
	unsigned gone_by;           /* of those, gone through: the last ones first */
	struct suspects *halves[2]; /* where suspects go; NULL: nowhere */
};

static void inquest_begin(struct engine *e, struct inquest *q);
static void inquest_job(struct engine *e, struct inquest *q, struct job *job);
static void inquest_end(struct engine *e, struct inquest *q);
static bool is_charged(const struct engine_death *death, const struct job *job);
static bool fails_alone(const struct inquest *q, const struct job *job);
static void suspect(struct engine *e, struct inquest *q, struct job *job);
static void charge_crash(struct engine *e, struct job *job);
static void story(struct job *job, const struct engine_death *death, bool charged, bool alone);
static void fail_unknown(struct engine *e, struct job *job, const struct engine_death *death);
static struct past_death *death_of(struct engine *e, uint32_t slot, uint64_t incarnation);
static void was_there(struct engine *e, struct job *job, struct past_death *d);

void engine_worker_lost(struct engine *e, uint32_t slot, uint64_t incarnation,
			const struct engine_death *death)
{
	struct worker *w = worker_at(e, slot);
	struct inquest q = { .death = death, .w = w };

	if (!w || incarnation == 0 || w->incarnation != incarnation)
		return;
	worker_shut(e, w);
	inquest_begin(e, &q);
	/* The latest first: so each one of a level comes to stand before the one that came back before it. */
	while (!list_empty(&w->jobs)) {
		actions_reserve_or_abort(e, 2);
		inquest_job(e, &q, LIST_ENTRY(w->jobs.prev, struct job, place));
	}
	inquest_end(e, &q);
	worker_clear(w);
}

int engine_worker_was_lost(struct engine *e, uint32_t slot, uint64_t incarnation,
			   const struct engine_death *death)
{
	struct past_death *d;

	if (slot >= SLOT_LIMIT || incarnation == 0)
		return -EINVAL;
	if (death_of(e, slot, incarnation))
		return 0;
	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->slot = slot;
	d->incarnation = incarnation;
	d->death = *death;
	list_push_back(&e->trials.deaths, &d->node);
	return 0;
}

void attempt_was_lost(struct engine *e, struct job *job, uint64_t incarnation)
{
	struct past_death *d = death_of(e, job->slot, incarnation);
	bool charged = d && is_charged(&d->death, job);
	bool alone = charged && job->slot == SACRIFICE_SLOT && job->crashes >= MAX_CRASHES;

	job->unconfirmed = false;
	if (charged)
		charge_crash(e, job);
	if (d)
		story(job, &d->death, charged, alone);
	if (job->cancelling || job->profile->at_most_once || alone) {
		job_move(e, job, JOB_READY); /* only for the one step from which all that is possible */
		if (job->cancelling)
			job_end(e, job, job_stopped_state(job));
		else if (!alone)
			fail_unknown(e, job, d ? &d->death : NULL);
		else
			job_end(e, job, JOB_FAILED);
	} else if (d && d->death.culprit == 0 && !d->death.asked) {
		was_there(e, job, d);
	} else {
		job_move(e, job, JOB_READY);
	}
}

void deaths_done(struct engine *e)
{
	struct list *node;

	while ((node = list_pop_front(&e->trials.deaths)))
		free(LIST_ENTRY(node, struct past_death, node));
}

static void inquest_begin(struct engine *e, struct inquest *q)
{
	LIST_FOREACH(it, &q->w->jobs)
		q->sent += LIST_ENTRY(it, struct job, place)->sent;
	q->open = q->death->culprit == 0 && !q->death->asked;
	q->apart = q->w->slot == SACRIFICE_SLOT && e->trials.current;
	if (!q->open || q->sent < 2 || (!q->apart && !trials_have_room(e)))
		return;
	q->halves[0] = suspects_new(e);
	if (q->apart)
		q->halves[1] = suspects_new(e);
}

static void inquest_job(struct engine *e, struct inquest *q, struct job *job)
{
	bool charged = is_charged(q->death, job), alone = fails_alone(q, job);

	job->unconfirmed = false;
	q->gone_by += job->sent;
	if (charged)
		charge_crash(e, job);
	if (job->sent) {
		story(job, q->death, charged, alone);
		note_add(e, job, 0);
	}
	if (job->cancelling) {
		job_end(e, job, job_stopped_state(job));
	} else if (job->sent && job->profile->at_most_once) {
		fail_unknown(e, job, q->death);
	} else if (alone) {
		job_end(e, job, JOB_FAILED);
	} else {
		if (q->open && job->sent)
			suspect(e, q, job);
		job_move(e, job, JOB_READY);
	}
	e->trials.target = e->trials.current;
}

static void inquest_end(struct engine *e, struct inquest *q)
{
	struct suspects *rest = q->apart ? GA_TAKE_PTR(e->trials.current) : NULL;

	/* What was begun is finished first: what it leads to is bounded, what may come isn't. */
	suspects_enter(e, rest, true);
	suspects_enter(e, q->halves[1], true);
	suspects_enter(e, q->halves[0], q->apart);
	e->trials.target = e->trials.current;
	if (q->w->slot == SACRIFICE_SLOT)
		trials_ended(e);
}

static bool is_charged(const struct engine_death *death, const struct job *job)
{
	return !death->asked && death->culprit != 0 && job->token == death->culprit;
}

/* It had a process to itself, from its start on. */
static bool fails_alone(const struct inquest *q, const struct job *job)
{
	return job->alone && job->sent && (q->open || is_charged(q->death, job));
}

/* Where it stands among those that were there says which half it belongs to. Those that came from one worker go together,
 * also if there is no memory to halve them. */
static void suspect(struct engine *e, struct inquest *q, struct job *job)
{
	unsigned place = q->sent - q->gone_by;
	struct suspects *set = q->halves[q->apart && place >= (q->sent + 1) / 2];

	if (q->sent == 1 && (q->apart || job->suspect || trials_have_room(e)))
		job->suspect = job->alone = true;
	else if (set)
		job->suspect = true;
	if (set)
		e->trials.target = set;
}

static void charge_crash(struct engine *e, struct job *job)
{
	job->crashes += job->crashes < UINT8_MAX;
	e->counts.crashes++;
	job_changed(e, job, false); /* so that it is written before the next attempt starts */
}

static int death_text(char *out, size_t size, const struct engine_death *death)
{
	const char *name = sigabbrev_np(death->signal), *meaning = sigdescr_np(death->signal);

	if (death->asked)
		return snprintf(out, size, "its worker was ended");
	if (death->signal == 0)
		return snprintf(out, size, "its worker hung");
	if (death->signal < 0)
		return snprintf(out, size, "its worker exited with status %d", -1 - death->signal);
	if (name && meaning)
		return snprintf(out, size, "its worker died of SIG%s (%s)", name, meaning);
	return snprintf(out, size, "its worker died of signal %d", death->signal);
}

/* What is said of an attempt that was lost. A deadline's word stands. */
static void story(struct job *job, const struct engine_death *death, bool charged, bool alone)
{
	const char *code = death->signal ? "worker_crashed" : "worker_hung";
	char message[200], times[40] = "";
	int size = death_text(message, sizeof(message), death);

	if (job->expiring)
		return;
	if (charged && job->crashes > 1)
		snprintf(times, sizeof(times), ", %u times now", job->crashes);
	if (!charged && !alone)
		code = "worker_lost";
	snprintf(message + size, sizeof(message) - (size_t)size, " while it ran this job%s%s",
		 alone     ? " alone"
		 : charged ? ""
			   : " among others",
		 times);
	job_set_error(job, error_new(death->asked ? 0 : MAX(death->signal, 0), span_of(code),
				     span_of(message)));
}

static void fail_unknown(struct engine *e, struct job *job, const struct engine_death *death)
{
	char message[200];
	int size;

	if (!death) {
		job_fail_unknown(e, job);
		return;
	}
	size = death_text(message, sizeof(message), death);
	snprintf(message + size, sizeof(message) - (size_t)size,
		 " during its only attempt: whether that had an effect is unknown");
	job_set_error(job, error_new(death->asked ? 0 : MAX(death->signal, 0),
				     SPAN("outcome_unknown"), span_of(message)));
	job_end(e, job, JOB_FAILED);
}

static struct past_death *death_of(struct engine *e, uint32_t slot, uint64_t incarnation)
{
	LIST_FOREACH(it, &e->trials.deaths) {
		struct past_death *d = LIST_ENTRY(it, struct past_death, node);

		if (d->slot == slot && d->incarnation == incarnation)
			return d;
	}
	return NULL;
}

/* It joins the others that were there. */
static void was_there(struct engine *e, struct job *job, struct past_death *d)
{
	if (!d->tried && trials_have_room(e))
		d->set = suspects_new(e);
	d->tried = true;
	job->suspect = d->set != NULL;
	e->trials.target = d->set;
	job_move(e, job, JOB_READY);
	e->trials.target = e->trials.current;
	if (d->set && !list_linked(&d->set->node))
		suspects_enter(e, d->set, false);
}
