/* The world's broker: it carries out what the engine says, saves, commits, and is started anew after a crash. */
#include "clock.h"
#include "world.h"
#include <errno.h>
#include <stdlib.h>

static void act(struct world *w, const struct action *a);
static void dispatch(struct world *w, const struct action *a);
static void acknowledge(struct world *w, const struct action *a);
static void finished(struct world *w, const struct job *job);
static void group_finished(struct world *w, const struct group *real);
static void hold(struct world *w, const struct ack *ack);
static void answer(struct world *w, const struct ack *ack);
static void answer_group(struct world *w, const struct ack *ack);
static void unanswer(struct world *w, uint64_t sequence);
static void on_hello(struct world *w, const struct letter *l);
static void on_result(struct world *w, const struct letter *l);
static void on_lost(struct world *w, const struct letter *l);

void broker_turn(struct world *w)
{
	const struct action *actions;
	size_t count, runs = 0;

	do {
		model_groups_order(&w->m);
		actions = engine_run(w->m.e, &count);
		model_ran(&w->m);
		for (size_t i = 0; i < count && !w->m.broken; i++) {
			if (model_action(&w->m, &actions[i]))
				act(w, &actions[i]);
		}
		model_acted(&w->m);
		engine_reap(w->m.e);
		model_reaped(&w->m);
		MODEL_EXPECT(&w->m, ++runs < 100, "there is no end of actions");
	} while ((broker_feed(w) || count > 0) && !w->m.broken);
}

void broker_save(struct world *w)
{
	bool any = false;
	struct group *group;
	struct job *real;

	while ((real = engine_change(w->m.e)) && !w->m.broken) {
		struct model_job *job = model_find(&w->m, real->sequence);

		any = true;
		if (real->gone) /* its time here is over already */
			job = model_find_leaving(&w->m, real->sequence);
		if (!job) {
			model_break(&w->m, "job %llu is saved and isn't known",
				    (unsigned long long)real->sequence);
			return;
		}
		disk_save(&w->disk, &w->m, job, real);
		model_saved(&w->m, job, real);
		for (struct job_note *n = real->extra ? real->extra->notes : NULL; n; n = n->next)
			n->saved = true;
	}
	while ((group = engine_group_change(w->m.e)) && !w->m.broken) {
		struct model_group *g = model_group(&w->m, group->sequence);

		any = true;
		if (!g) {
			model_break(&w->m, "group %llu is saved and isn't known",
				    (unsigned long long)group->sequence);
			return;
		}
		disk_save_group(&w->disk, &w->m, g, group);
		model_group_saved(&w->m, g, group);
	}
	model_sealed(&w->m, engine_seal(w->m.e), any);
}

void broker_commit(struct world *w, uint64_t batch)
{
	size_t kept = 0;

	for (uint64_t b = w->disk.told + 1; b <= batch; b++) {
		const uint64_t *refused;
		size_t count =
			disk_decide(&w->disk, &w->m, b, &w->random, w->calm ? 0 : w->full, &refused);

		for (size_t i = 0; i < count; i++) {
			struct model_job *job = model_find(&w->m, refused[i]);
			struct group *group;
			struct job *real = job ? model_real(&w->m, job) : NULL;

			world_tell(w, "job %llu is refused", (unsigned long long)refused[i]);
			group = engine_group_at(w->m.e, refused[i]);
			if (real)
				engine_refused(w->m.e, real);
			else if (group)
				engine_group_refused(w->m.e, group);
			model_refused(&w->m, refused[i]);
			unanswer(w, refused[i]);
		}
		disk_told(&w->disk, b);
		w->counts.commits++;
	}
	if (world_chance(w, 20))
		disk_timer(&w->disk);
	engine_committed(w->m.e, batch);
	model_committed(&w->m, batch);
	world_tell(w, "batch %llu is committed", (unsigned long long)batch);
	for (size_t i = 0; i < w->ack_count; i++) {
		if (w->acks[i].until > batch)
			w->acks[kept++] = w->acks[i];
		else
			answer(w, &w->acks[i]);
	}
	w->ack_count = kept;
}

void broker_answer(struct world *w, enum ack_kind kind, const struct model_job *job)
{
	const struct ack ack = { .kind = kind,
				 .id = job->id,
				 .sequence = job->sequence,
				 .until = engine_pending(w->m.e),
				 .lives = job->is.lives };

	if (model_durable(job))
		hold(w, &ack);
}

void broker_answer_group(struct world *w, const struct model_group *g)
{
	const struct ack ack = { .kind = ACK_SUBMITTED,
				 .is_group = true,
				 .id = g->id,
				 .sequence = g->sequence,
				 .until = engine_pending(w->m.e) };

	if (g->durability != DURABILITY_MEMORY)
		hold(w, &ack);
}

static void hold(struct world *w, const struct ack *ack)
{
	if (ack->until == 0) {
		answer(w, ack);
		return;
	}
	if (w->ack_count == w->ack_size) {
		w->ack_size = w->ack_size ? w->ack_size * 2 : 16;
		w->acks = reallocarray(w->acks, w->ack_size, sizeof(*w->acks));
		if (!w->acks)
			abort();
	}
	w->acks[w->ack_count++] = *ack;
}

void broker_hear_supervisor(struct world *w)
{
	struct letter l;
	int r;

	if (!mail_take(&w->supervisor, &l))
		return;
	if (l.kind == LETTER_LOST) {
		on_lost(w, &l);
		return;
	}
	r = engine_worker_started(w->m.e, l.slot, l.incarnation);
	MODEL_EXPECT(&w->m, r == 0, "worker %u can't start: %d", l.slot, r);
	model_started(&w->m, l.slot, l.incarnation);
}

void broker_hear_worker(struct world *w, const struct letter *l)
{
	const struct model_worker *known = model_worker(&w->m, l->slot);

	switch (l->kind) {
	case LETTER_HELLO:
		on_hello(w, l);
		break;
	case LETTER_RESULT:
		on_result(w, l);
		break;
	default:
		if (known->incarnation != l->incarnation || !known->joined)
			break;
		engine_slot_freed(w->m.e, l->slot, l->job_class);
		model_worker(&w->m, l->slot)->withheld[l->job_class] -=
			known->withheld[l->job_class] > 0;
	}
}

static void act(struct world *w, const struct action *a)
{
	const struct model_worker *to = model_worker(&w->m, a->slot);
	struct model_job *job;

	switch (a->kind) {
	case ACTION_DISPATCH:
		dispatch(w, a);
		break;
	case ACTION_CANCEL:
		if (to->joined)
			mail_post(&hand_at(w, a->slot)->inbox,
				  &(struct letter){ .kind = LETTER_CANCEL,
						    .incarnation = to->incarnation,
						    .token = a->token });
		break;
	case ACTION_ENDED:
		acknowledge(w, a);
		break;
	case ACTION_FINISHED:
		finished(w, a->job);
		if (a->job->gone || !world_chance(w, 60))
			break;
		engine_delivered(w->m.e, a->job);
		job = model_find(&w->m, a->job->sequence);
		if (job)
			model_deliver(&w->m, job);
		break;
	case ACTION_GROUP_FINISHED:
		group_finished(w, a->group);
		break;
	case ACTION_SACRIFICE:
		w->wanted = true;
		break;
	case ACTION_DISMISS:
		if (hand_at(w, a->slot)->alive)
			hand_die(w, hand_at(w, a->slot), true);
		break;
	default:
		break;
	}
}

/* Commit before dispatch; and for what may start but once, synced. */
static void dispatch(struct world *w, const struct action *a)
{
	const struct model_job *job = model_find(&w->m, a->job->sequence);
	const struct row *row = disk_view(&w->disk, a->job->sequence, w->disk.told);
	const unsigned long long name = a->job->sequence;

	if (!job)
		return;
	world_tell(w, "job %llu is sent to worker %u as %llx", name, a->slot,
		   (unsigned long long)a->token);
	if (model_durable(job)) {
		MODEL_EXPECT(&w->m, row && row->job.token == a->token,
			     "job %llu is dispatched before that is committed", name);
		row = disk_view(&w->disk, job->sequence, w->disk.safe);
		MODEL_EXPECT(&w->m, !job->terms.at_most_once || (row && row->job.token == a->token),
			     "job %llu may run once, and its start isn't synced", name);
	}
	mail_post(&hand_at(w, a->slot)->inbox,
		  &(struct letter){ .kind = LETTER_JOB,
				    .incarnation = model_worker(&w->m, a->slot)->incarnation,
				    .token = a->token,
				    .id = job->id,
				    .sequence = job->sequence,
				    .job_class = job->terms.job_class,
				    .life = job->is.lives + 1,
				    .limit_key = job->limit_key,
				    .once = job->terms.at_most_once });
}

/* Once acknowledged a result is forgotten by its worker: it must be safe by then. */
static void acknowledge(struct world *w, const struct action *a)
{
	const struct model_worker *to = model_worker(&w->m, a->slot);
	const struct hand *h = hand_at(w, a->slot);
	const struct errand *e = hand_errand(h, a->token);
	uint64_t name = a->job ? a->job->sequence : e ? e->job.sequence : 0;
	const struct row *row = disk_view(&w->disk, name, w->disk.told);

	if (!a->job && (a->slot != hand_slot(w, h) || !e || e->stage != STAGE_DONE))
		return; /* nobody there has said so */
	if (e && e->result.outcome != OUTCOME_RETURNED &&
	    (row || (a->job && a->job->profile->durability)))
		MODEL_EXPECT(&w->m,
			     row && (row->job.state != JOB_RUNNING || row->job.token != a->token),
			     "the result of job %llu is acknowledged and isn't safe",
			     (unsigned long long)name);
	if (to->joined)
		mail_post(&hand_at(w, a->slot)->inbox, &(struct letter){ .kind = LETTER_ACK,
									 .incarnation = to->incarnation,
									 .token = a->token });
}

/* Done reaches the client only after it is durable under the job's own policy. */
static void finished(struct world *w, const struct job *real)
{
	bool synced = real->profile->durability == DURABILITY_FSYNC;
	const struct row *row =
		disk_view(&w->disk, real->sequence, synced ? w->disk.safe : w->disk.told);
	struct history *past = world_history(w, real->sequence, &real->id);
	const unsigned long long name = real->sequence;

	world_tell(w, "job %llu has %s", name, job_state_name((enum job_state)real->state));
	if (real->profile->durability == DURABILITY_MEMORY)
		return;
	MODEL_EXPECT(&w->m, row && row->job.state == (enum job_state)real->state,
		     "job %llu is told to be %s before that is safe", name,
		     job_state_name((enum job_state)real->state));
	past->finished = true;
	past->weak = !synced;
	if (row) {
		past->face = row->judged.is;
		past->result_size = row->judged.result_size;
	}
}

static void group_finished(struct world *w, const struct group *real)
{
	bool synced = real->durability == DURABILITY_FSYNC;
	const struct group_row *row =
		disk_view_group(&w->disk, real->sequence, synced ? w->disk.safe : w->disk.told);
	struct history *past = world_history(w, real->sequence, &real->id);
	const unsigned long long name = real->sequence;

	world_tell(w, "group %llu has %s", name, job_state_name((enum job_state)real->state));
	if (real->durability == DURABILITY_MEMORY)
		return;
	MODEL_EXPECT(&w->m, row && row->group.state == (enum job_state)real->state,
		     "group %llu is told to be %s before that is safe", name,
		     job_state_name((enum job_state)real->state));
	past->finished = past->is_group = true;
	past->weak = !synced;
	past->face.state = (enum job_state)real->state;
}

/* A group is kept with all its members, or not at all. */
static void answer_group(struct world *w, const struct ack *ack)
{
	const struct group_row *row = disk_view_group(&w->disk, ack->sequence, w->disk.told);
	const unsigned long long name = ack->sequence;
	struct history *past = world_history(w, ack->sequence, &ack->id);

	MODEL_EXPECT(&w->m, row && uuid_equal(&row->group.id, &ack->id),
		     "group %llu is acknowledged and isn't safe", name);
	if (row && row->judged.durability == DURABILITY_FSYNC)
		row = disk_view_group(&w->disk, ack->sequence, w->disk.safe);
	MODEL_EXPECT(&w->m, row, "group %llu is acknowledged and isn't synced", name);
	for (size_t i = 0; row && i < row->member_count && row->judged.options.kind != GROUP_MAP; i++)
		MODEL_EXPECT(&w->m,
			     disk_view(&w->disk, row->members[i], w->disk.told) ||
				     disk_view_group(&w->disk, row->members[i], w->disk.told),
			     "member %zu of group %llu isn't safe", i, name);
	past->accepted = past->is_group = true;
	past->weak = row && row->judged.durability != DURABILITY_FSYNC;
}

static void answer(struct world *w, const struct ack *ack)
{
	const struct row *row = disk_view(&w->disk, ack->sequence, w->disk.told);
	const unsigned long long name = ack->sequence;
	struct history *past;

	if (ack->is_group) {
		answer_group(w, ack);
		return;
	}
	MODEL_EXPECT(&w->m, row && uuid_equal(&row->job.id, &ack->id),
		     "job %llu is acknowledged and isn't safe", name);
	if (row && row->judged.terms.durability == DURABILITY_FSYNC)
		row = disk_view(&w->disk, ack->sequence, w->disk.safe);
	MODEL_EXPECT(&w->m, row, "job %llu is acknowledged and isn't synced", name);
	if (!row)
		return;
	past = world_history(w, ack->sequence, &ack->id);
	past->accepted = true;
	past->weak = row->judged.terms.durability != DURABILITY_FSYNC;
	if (ack->kind == ACK_CANCELLED)
		MODEL_EXPECT(&w->m,
			     row->job.cancelling || job_state_is_final(row->job.state) ||
				     row->judged.is.lives > ack->lives,
			     "the cancel of job %llu is acknowledged and isn't safe", name);
	if (ack->kind == ACK_RETRIED)
		MODEL_EXPECT(&w->m, row->judged.is.lives >= ack->lives,
			     "the retry of job %llu is acknowledged and isn't safe", name);
}

/* It was refused. */
static void unanswer(struct world *w, uint64_t sequence)
{
	size_t kept = 0;

	for (size_t i = 0; i < w->ack_count; i++)
		if (w->acks[i].sequence != sequence)
			w->acks[kept++] = w->acks[i];
	w->ack_count = kept;
}

static void on_hello(struct world *w, const struct letter *l)
{
	struct engine_worker joining = { .slot = l->slot, .incarnation = l->incarnation };
	struct hand *h = hand_at(w, l->slot);
	int r;

	while (w->supervisor.first < w->supervisor.count)
		broker_hear_supervisor(w);
	if (!h->draining) /* else it takes nothing from the new broker either */
		memcpy(joining.capacity, h->capacity, sizeof(joining.capacity));
	r = engine_worker_joined(w->m.e, &joining);
	MODEL_EXPECT(&w->m,
		     r == (model_worker(&w->m, l->slot)->incarnation == l->incarnation ? 0 : -ESTALE),
		     "worker %u joins: %d", l->slot, r);
	if (r < 0)
		return;
	model_joined(&w->m, &joining);
	for (size_t i = 0; i < h->count && h->alive; i++) {
		const struct errand *e = &h->errands[i];
		struct model_job *job = model_find(&w->m, e->job.sequence);
		bool holds = engine_worker_holds(w->m.e, l->slot, e->job.token);
		bool should = job && job->is.state == JOB_RUNNING &&
			      job->is.token == e->job.token && job->slot == l->slot;

		MODEL_EXPECT(&w->m, holds == should, "worker %u keeps attempt %llx: %d", l->slot,
			     (unsigned long long)e->job.token, holds);
		if (should)
			model_holds(&w->m, job);
		else
			mail_post(&h->inbox, &(struct letter){ .kind = LETTER_FORGET,
							       .incarnation = l->incarnation,
							       .token = e->job.token });
	}
	engine_worker_told(w->m.e, l->slot);
	model_worker_told(&w->m, l->slot);
}

static void on_result(struct world *w, const struct letter *l)
{
	struct model_job *job = NULL;
	int r;

	for (size_t i = 0; i < w->m.count; i++)
		if (w->m.jobs[i].is.state == JOB_RUNNING && w->m.jobs[i].is.token == l->token &&
		    w->m.jobs[i].slot == l->slot)
			job = &w->m.jobs[i];
	r = engine_result(w->m.e, l->slot, &l->result);
	MODEL_EXPECT(&w->m, r == (job ? 0 : -ESTALE), "a result of attempt %llx: %d",
		     (unsigned long long)l->token, r);
	if (job)
		model_result(&w->m, job, &l->result);
	else
		model_promise_stale(&w->m, l->slot, l->token);
}

/* What it said before it died may still be under way; all, some or none of it is heard. */
static void on_lost(struct world *w, const struct letter *l)
{
	struct hand *h = hand_at(w, l->slot);
	struct letter last;

	if (world_chance(w, 30)) {
		engine_worker_drains(w->m.e, l->slot);
		model_worker(&w->m, l->slot)->draining = true;
	}
	if (world_chance(w, 70))
		while (h->outbox.first < h->outbox.count &&
		       h->outbox.letters[h->outbox.first].incarnation == l->incarnation &&
		       mail_take(&h->outbox, &last))
			if (last.kind != LETTER_HELLO)
				broker_hear_worker(w, &last);
	engine_worker_lost(w->m.e, l->slot, l->incarnation, &l->death);
	model_lost(&w->m, l->slot, &l->death);
}
