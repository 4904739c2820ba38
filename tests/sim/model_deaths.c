/* The model of deaths: what becomes of a lost worker's jobs, who is a suspect, and how suspects are tried. */
#include "model_parts.h"
#include <errno.h>

static bool is_charged(const struct engine_death *death, const struct model_job *job)
{
	return !death->asked && death->culprit != 0 && job->is.token == death->culprit;
}

static bool is_open(const struct engine_death *death)
{
	return !death->asked && death->culprit == 0;
}

static void stopped(struct model *m, struct model_job *job)
{
	model_ended(m, job, job->expiring ? JOB_EXPIRED : JOB_CANCELLED);
}

/* What is ready with too many charges runs by itself. */
void model_ready(struct model *m, struct model_job *job)
{
	job->is.state = JOB_READY;
	if (job->is.crashes < MAX_CRASHES)
		return;
	job->suspect = true;
	job->set = ++m->sets;
}

void model_attempt_lost(struct model *m, struct model_job *job)
{
	model_attempt_ended(m, job);
	if (job->is.cancelling)
		stopped(m, job);
	else if (job->terms.at_most_once)
		model_ended(m, job, JOB_FAILED);
	else
		model_ready(m, job);
}

/* The one of this worker's jobs that was dispatched next after `token`. */
static struct model_job *next_held(struct model *m, uint32_t slot, uint64_t token)
{
	struct model_job *next = NULL;

	for (size_t i = 0; i < m->count; i++) {
		struct model_job *job = &m->jobs[i];

		if (job->is.state == JOB_RUNNING && job->slot == slot && job->is.token > token &&
		    (!next || job->is.token < next->is.token))
			next = job;
	}
	return next;
}

void model_lost(struct model *m, uint32_t slot, const struct engine_death *death)
{
	const unsigned first = m->sets + 1, second = m->sets + 2;
	unsigned sent = 0, place = 0;
	struct model_job *job;
	uint64_t token = 0;
	bool apart = false;

	m->sets += 2;
	for (; (job = next_held(m, slot, token)); token = job->is.token) {
		sent += job->sent;
		apart |= job->suspect && !job->alone;
	}
	for (token = 0; (job = next_held(m, slot, token));) {
		bool charged = is_charged(death, job), was_there = job->sent;

		token = job->is.token;
		place += was_there;
		model_attempt_ended(m, job);
		model_break_promises(m, job->sequence, ACTION_DISPATCH);
		job->is.crashes += charged;
		if (job->is.cancelling) {
			stopped(m, job);
		} else if (was_there &&
			   (job->terms.at_most_once || (job->alone && (charged || is_open(death))))) {
			model_ended(m, job, JOB_FAILED);
		} else {
			if (was_there && is_open(death)) {
				job->suspect = true;
				job->set = apart && place > (sent + 1) / 2 ? second : first;
			}
			model_ready(m, job);
		}
	}
	*model_worker(m, slot) = (struct model_worker){ 0 };
	if (slot == SACRIFICE_SLOT)
		m->asked = m->dismissed = false;
}

static void was_lost(struct model *m, struct model_job *job, const struct engine_death *death,
		     unsigned *set)
{
	bool charged = death && is_charged(death, job);
	bool alone = charged && job->slot == SACRIFICE_SLOT && job->is.crashes >= MAX_CRASHES;

	model_attempt_ended(m, job);
	job->is.crashes += charged;
	if (job->is.cancelling) {
		stopped(m, job);
	} else if (job->terms.at_most_once || alone) {
		model_ended(m, job, JOB_FAILED);
	} else {
		if (death && is_open(death)) {
			job->suspect = true;
			job->set = *set = *set ? *set : ++m->sets;
		}
		model_ready(m, job);
	}
}

void model_restored(struct model *m, const struct model_job *saved, uint64_t incarnation,
		    const struct engine_death *death, unsigned *set)
{
	struct model_job *job = model_add(m, saved);
	const struct model_worker *w = model_worker(m, job->slot);

	for (size_t i = 0; i < MODEL_GHOSTS; i++)
		if (uuid_equal(&m->left[i].id, &job->id)) {
			memset(&m->left[i].id, 0, sizeof(m->left[i].id)); /* no id at all */
			m->left[i].found = -ENOENT;
		}
	job->is = job->saved;
	job->watched = job->deadline != 0 && !model_final(job);
	job->client = 0;
	if (!model_group(m, job->group))
		job->group = 0;
	job->delivered = job->untold = job->suspect = job->alone = job->parked = false;
	switch (job->is.state) {
	case JOB_RUNNING:
		job->doubtful = w->incarnation != 0 && w->incarnation == incarnation;
		job->sent = true;
		if (job->doubtful)
			job->suspect = job->alone = job->slot == SACRIFICE_SLOT &&
						    job->is.crashes >= MAX_CRASHES;
		else
			was_lost(m, job, death, set);
		break;
	case JOB_BLOCKED:
	case JOB_RETRYING:
		break; /* what is due is done when time is told next */
	case JOB_READY:
		model_ready(m, job);
		break;
	case JOB_SUCCEEDED:
	case JOB_FAILED:
	case JOB_CANCELLED:
	case JOB_EXPIRED:
		job->group = 0; /* that has seen its end */
		model_ended(m, job, job->is.state);
		m->promise_count--; /* it was told long ago */
		job->untold = false;
		break;
	default:
		model_starts(m, job);
	}
}

/* ---- trials ---- */

void model_told_of_worker(struct model *m, enum action_kind kind)
{
	bool lives = model_worker(m, SACRIFICE_SLOT)->incarnation != 0;

	if (kind == ACTION_SACRIFICE) {
		MODEL_EXPECT(m, !lives && !m->asked, "a sacrificial worker too many is asked for");
		m->asked = true;
	} else {
		MODEL_EXPECT(m, lives && !m->dismissed, "nobody is dismissed");
		m->dismissed = true;
	}
}

/* In the sacrificial worker, with none but its own set, or alone in a new process. */
void model_tried(struct model *m, struct model_job *job, uint32_t slot, uint64_t token)
{
	unsigned mates = 0, others = 0, waiting = 0;
	const unsigned long long name = job->sequence;

	for (size_t i = 0; i < m->count; i++) {
		const struct model_job *other = &m->jobs[i];

		if (other->is.state == JOB_RUNNING && other->slot == SACRIFICE_SLOT)
			other->set == job->set ? mates++ : others++;
		waiting += other->is.state == JOB_READY && other->suspect && other->set == job->set;
	}
	job->alone = mates == 0 && waiting == 1;
	MODEL_EXPECT(m, slot == SACRIFICE_SLOT && model_worker_free(m, slot, (int)job->terms.job_class),
		     "suspect %llu runs in worker %u", name, slot);
	MODEL_EXPECT(m, others == 0, "suspect %llu runs with others than its set", name);
	MODEL_EXPECT(m, !job->alone || model_worker(m, slot)->used == 0,
		     "job %llu alone runs in a used process", name);
	model_runs(m, job, slot, token);
}

/* Whoever may be tried is, and who waits for a worker has one asked for. */
void model_trials_move(struct model *m)
{
	const struct model_worker *w = model_worker(m, SACRIFICE_SLOT);
	unsigned waiting = 0, held_back = 0, running = 0;

	for (size_t i = 0; i < m->count; i++) {
		bool waits = m->jobs[i].is.state == JOB_READY && m->jobs[i].suspect;

		waiting += waits;
		held_back += waits && !model_is_open(m, &m->jobs[i]);
		running += m->jobs[i].is.state == JOB_RUNNING && m->jobs[i].slot == SACRIFICE_SLOT;
	}
	if (w->incarnation == 0)
		MODEL_EXPECT(m, waiting == 0 || m->asked, "suspects wait, but for no worker");
	else if (w->joined && !w->draining && running == 0)
		MODEL_EXPECT(m, m->dismissed || (waiting > 0 && waiting == held_back),
			     "the sacrificial worker does nothing");
}
