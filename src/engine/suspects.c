/*
 * Suspects: jobs that may take their worker along. They run in the sacrificial worker and nowhere else, one set at a time:
 * those that were together on a worker that died for no known reason run together again, those that are known to be
 * dangerous run alone, each in a process in which nothing else has run. Sets and lone jobs take turns. Within a set, as
 * many run at once as the worker takes and limits allow; whoever's attempt ends is no suspect any longer.
 *
 * None of this is stored.
 */
#include "engine_parts.h"
#include <stdlib.h>

/* So many sets and lone jobs may wait; past that, a death without a culprit makes no more suspects. Where many workers
 * are killed from outside, the jobs go on in all workers instead of standing in line for one. */
enum { TRIALS_MAX = 64, LOOKED_AT = 1024 };

static bool set_is_empty(const struct suspects *set);
static void worker_ask(struct engine *e, enum action_kind kind, bool *ret_asked);
static bool next_begins(struct engine *e, struct worker *w);
static bool somebody_stays(const struct worker *w);
static struct suspects *next_set(struct engine *e);
static bool set_dissolves(struct engine *e, struct suspects *set);
static struct job *first_open(struct list *jobs);
static void set_goes_on(struct engine *e, struct worker *w);
static void set_ends(struct engine *e);

void trials_init(struct engine *e)
{
	list_init(&e->trials.alone);
	list_init(&e->trials.sets);
	list_init(&e->trials.deaths);
}

void trials_done(struct engine *e)
{
	struct list *node;

	while ((node = list_pop_front(&e->trials.sets)))
		free(LIST_ENTRY(node, struct suspects, node));
	free(e->trials.current);
	deaths_done(e);
}

void trials_run(struct engine *e)
{
	struct trials *t = &e->trials;
	struct worker *w = worker_at(e, SACRIFICE_SLOT);

	deaths_done(e); /* what they had to do with is restored */
	if (!w || w->incarnation == 0) {
		if (e->counts.suspects > 0 && !t->asked)
			worker_ask(e, ACTION_SACRIFICE, &t->asked);
		return;
	}
	if (w->draining || t->dismissed)
		return;
	if (list_empty(&w->jobs)) {
		if (t->current)
			set_ends(e);
		if (!next_begins(e, w))
			worker_ask(e, ACTION_DISMISS, &t->dismissed);
	}
	if (t->current)
		set_goes_on(e, w);
}

void trials_started(struct engine *e)
{
	e->trials.inherited = !e->trials.asked;
	e->trials.asked = e->trials.dismissed = false;
}

void trials_ended(struct engine *e)
{
	set_ends(e);
	e->trials.asked = false;
}

bool trials_have_room(const struct engine *e)
{
	return e->trials.set_count + e->trials.alone_count < TRIALS_MAX;
}

static uint64_t list_count(const struct list *head)
{
	uint64_t count = 0;

	LIST_FOREACH(it, head)
		count++;
	return count;
}

static uint64_t set_count(const struct suspects *set)
{
	uint64_t count = 0;

	for (int c = 0; set && c < CLASS_COUNT; c++)
		count += list_count(&set->jobs[c]);
	return count;
}

uint64_t trials_count(const struct engine *e)
{
	uint64_t count = list_count(&e->trials.alone) + set_count(e->trials.current);

	LIST_FOREACH(it, &e->trials.sets)
		count += set_count(LIST_ENTRY(it, struct suspects, node));
	return count;
}

struct suspects *suspects_new(struct engine *e)
{
	struct suspects *set = malloc(sizeof(*set));

	if (!set)
		return NULL;
	e->trials.set_count++;
	list_init(&set->node);
	for (int c = 0; c < CLASS_COUNT; c++)
		list_init(&set->jobs[c]);
	return set;
}

void suspects_enter(struct engine *e, struct suspects *set, bool first)
{
	if (!set)
		return;
	if (set_is_empty(set)) {
		e->trials.set_count--;
		free(set);
	} else if (first) {
		list_push_front(&e->trials.sets, &set->node);
	} else {
		list_push_back(&e->trials.sets, &set->node);
	}
}

/* A worker's jobs come back the latest first: so they stand in order again. */
void suspect_insert(struct engine *e, struct job *job)
{
	struct trials *t = &e->trials;

	job->suspect = true;
	job->alone |= job->crashes >= MAX_CRASHES || !t->target;
	e->counts.suspects++;
	t->alone_count += job->alone;
	if (job->alone)
		list_push_back(&t->alone, &job->place);
	else
		list_push_front(&t->target->jobs[job->profile->job_class], &job->place);
}

void suspect_remove(struct engine *e, struct job *job)
{
	list_remove(&job->place);
	e->counts.suspects--;
	e->trials.alone_count -= job->alone;
}

static bool set_is_empty(const struct suspects *set)
{
	for (int c = 0; c < CLASS_COUNT; c++)
		if (!list_empty(&set->jobs[c]))
			return false;
	return true;
}

/* Without memory for it now: in the next turn. */
static void worker_ask(struct engine *e, enum action_kind kind, bool *ret_asked)
{
	if (actions_reserve(e, 1) < 0)
		return;
	action_now(e, &(struct action){ .kind = kind, .slot = SACRIFICE_SLOT });
	*ret_asked = true;
}

/* The worker holds nothing. false: it should go, for want of suspects or because the next one needs a new process. */
static bool next_begins(struct engine *e, struct worker *w)
{
	struct trials *t = &e->trials;
	struct suspects *set = next_set(e);
	struct job *alone = set && !t->alone_next ? NULL : first_open(&t->alone);
	bool used = t->inherited || w->dispatched > 0;

	if (e->counts.suspects == 0)
		return false;
	if ((alone && used) || ((alone || set) && somebody_stays(w)))
		return false;
	if (!w->joined)
		return true;
	if (alone) {
		t->alone_next = false;
		if (worker_has_room(w, (enum job_class)alone->profile->job_class))
			(void)attempt_start(e, w, alone); /* without memory: next time */
	} else if (set) {
		list_remove(&set->node);
		t->current = t->target = set;
		t->alone_next = true;
	}
	return true;
}

/* An abandoned attempt goes on in there. */
static bool somebody_stays(const struct worker *w)
{
	for (int c = 0; c < CLASS_COUNT; c++)
		if (w->withheld[c] > 0)
			return true;
	return false;
}

/* The first set of which something may start. One that has come down to a single job has no set any longer. */
static struct suspects *next_set(struct engine *e)
{
	LIST_FOREACH(it, &e->trials.sets) {
		struct suspects *set = LIST_ENTRY(it, struct suspects, node);

		if (set_dissolves(e, set))
			continue;
		for (int c = 0; c < CLASS_COUNT; c++)
			if (first_open(&set->jobs[c]))
				return set;
	}
	return NULL;
}

static bool set_dissolves(struct engine *e, struct suspects *set)
{
	struct job *job = NULL;
	unsigned jobs = 0;

	for (int c = 0; c < CLASS_COUNT; c++)
		for (struct list *it = set->jobs[c].next; it != &set->jobs[c] && jobs < 2;
		     it = it->next, jobs++)
			job = LIST_ENTRY(it, struct job, place);
	if (jobs > 1)
		return false;
	if (job) {
		list_remove(&job->place);
		list_push_back(&e->trials.alone, &job->place);
		job->alone = true;
		e->trials.alone_count++;
	}
	list_remove(&set->node);
	suspects_enter(e, set, true); /* frees it */
	return true;
}

/* The first one that no limit holds back. Those that were in vain go to the end, so that each call looks at others. */
static struct job *first_open(struct list *jobs)
{
	struct list *last = jobs->prev;

	for (unsigned looked_at = 0; !list_empty(jobs) && looked_at < LOOKED_AT; looked_at++) {
		struct list *node = jobs->next;
		struct job *job = LIST_ENTRY(node, struct job, place);

		if (limits_open(job))
			return job;
		list_remove(node);
		list_push_back(jobs, node);
		if (node == last)
			return NULL;
	}
	return NULL;
}

static void set_goes_on(struct engine *e, struct worker *w)
{
	for (int c = 0; c < CLASS_COUNT; c++) {
		while (worker_has_room(w, (enum job_class)c)) {
			struct job *job = first_open(&e->trials.current->jobs[c]);

			if (!job || !attempt_start(e, w, job))
				break;
		}
	}
}

/* What is left of it, because it couldn't start, has another turn later. */
static void set_ends(struct engine *e)
{
	suspects_enter(e, GA_TAKE_PTR(e->trials.current), false);
	e->trials.target = NULL;
}
