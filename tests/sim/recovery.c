/* The end of a broker, what survives it, and the next one's recovery. */
#include "clock.h"
#include "world.h"
#include <stdlib.h>

static void forget_all(struct world *w, bool outage);
static void remember(struct world *w, const struct letter *death);
static void check_survivors(struct world *w, bool outage);
static bool job_survives(struct world *w, uint64_t sequence, bool *ret_weak);
static bool group_survives(struct world *w, uint64_t sequence, bool *ret_weak);
static void recover(struct world *w);
static void restore_group(struct world *w, const struct group_row *row);

void broker_crash(struct world *w, bool outage)
{
	struct disk *d = &w->disk;
	uint64_t first = outage ? d->safe : d->told, last = w->m.open - 1;
	uint64_t kept = first + world_below(w, last - first + 1);

	world_tell(w, "%s: of batches %llu..%llu up to %llu is kept", outage ? "outage" : "crash",
		   (unsigned long long)first, (unsigned long long)last, (unsigned long long)kept);
	for (uint64_t b = d->told + 1; b <= kept; b++) {
		const uint64_t *refused;

		(void)disk_decide(d, &w->m, b, &w->random, 0, &refused);
	}
	engine_free(w->m.e);
	w->m.e = NULL;
	w->ack_count = w->death_count = 0;
	forget_all(w, outage);
	disk_crash(d, &w->m, kept);
	if (outage) { /* another boot */
		int64_t off = (int64_t)world_below(w, 100 * NSEC_PER_SEC);

		w->m.now += off;
		w->wall += off;
		w->m.boot = w->m.now - 1 - (int64_t)world_below(w, NSEC_PER_SEC);
	}
	check_survivors(w, outage);
	w->counts.crashes++;
	w->counts.outages += outage;
	recover(w);
}

/* What was under way is lost; but the supervisor knows who lives, and may know how the others died. */
static void forget_all(struct world *w, bool outage)
{
	struct letter l;

	while (mail_take(&w->supervisor, &l))
		remember(w, &l);
	for (uint32_t i = 0; i <= MODEL_WORKERS; i++) {
		struct hand *h = &w->hands[i];

		if (h->alive && !outage && world_chance(w, 10)) {
			hand_die(w, h, world_chance(w, 20));
			if (mail_take(&w->supervisor, &l))
				remember(w, &l);
		}
		h->alive = h->alive && !outage;
		h->connected = false;
		h->count = h->alive ? h->count : 0;
		mail_clear(&h->inbox);
		mail_clear(&h->outbox);
	}
	w->wanted = w->wanted && !outage && world_chance(w, 50);
	if (outage)
		w->death_count = 0;
}

static void remember(struct world *w, const struct letter *death)
{
	if (death->kind != LETTER_LOST)
		return;
	if (w->death_count == w->death_size) {
		w->death_size = w->death_size ? w->death_size * 2 : 16;
		w->deaths = reallocarray(w->deaths, w->death_size, sizeof(*w->deaths));
		if (!w->deaths)
			abort();
	}
	w->deaths[w->death_count++] = (struct past){ .letter = *death, .told = world_chance(w, 80) };
}

/* What was told to clients holds; what is `write` only may be lost in an outage. */
static void check_survivors(struct world *w, bool outage)
{
	for (size_t i = 0; i < w->history_count; i++) {
		struct history *past = &w->histories[i];
		bool weak = false, kept;

		if (!past->accepted && !past->finished)
			continue;
		kept = past->is_group ? group_survives(w, i, &weak) : job_survives(w, i, &weak);
		MODEL_EXPECT(&w->m, kept || (outage && weak),
			     "job or group %zu is lost, or what became of it", i);
		if (!kept)
			past->accepted = past->finished = false;
	}
}

/* `weak`: it wasn't promised to survive a loss of power. */
static bool job_survives(struct world *w, uint64_t sequence, bool *ret_weak)
{
	const struct history *past = &w->histories[sequence];
	const struct row *row = disk_view(&w->disk, sequence, 0);

	*ret_weak = past->weak;
	if (!row || !uuid_equal(&row->job.id, &past->id))
		return false;
	return !past->finished || row->judged.is.lives > past->face.lives ||
	       (row->job.state == past->face.state && row->judged.result_size == past->result_size);
}

static bool group_survives(struct world *w, uint64_t sequence, bool *ret_weak)
{
	const struct history *past = &w->histories[sequence];
	const struct group_row *row = disk_view_group(&w->disk, sequence, 0);

	*ret_weak = past->weak;
	if (!row || !uuid_equal(&row->group.id, &past->id))
		return false;
	return !past->finished || row->group.state == past->face.state;
}

/* Settings are kept; what was learnt isn't. */
static void set_limits(struct world *w, const struct model *before)
{
	for (int kind = 0; kind < 2; kind++) {
		const struct limit *limit = &before->default_limits[kind];
		int r = engine_set_limit(w->m.e, (enum limit_kind)kind, SPAN(""), limit);

		model_limit_default(&w->m, (enum limit_kind)kind, limit);
		for (int i = 0; i < MODEL_GATES; i++) {
			const struct model_gate *g = &before->gates[kind][i];
			struct span name = span_of(world_gates[kind][i]);

			if (r == 0 && g->own) {
				r = engine_set_limit(w->m.e, (enum limit_kind)kind, name, &g->limit);
				model_limit(&w->m, (enum limit_kind)kind, i, &g->limit);
			}
			if (r == 0 && g->paused)
				r = engine_pause(w->m.e, (enum limit_kind)kind, name);
			w->m.gates[kind][i].paused = g->paused;
		}
		MODEL_EXPECT(&w->m, r == 0, "limits can't be set again: %d", r);
	}
}

static void recover(struct world *w)
{
	const struct model before = w->m;

	struct engine_options options = {
		.first_sequence = w->disk.last_sequence + 1,
		.epoch = ++w->epoch,
		.seed = w->seed + w->epoch,
		.max_jobs = w->max_jobs,
		.max_finished_bytes = w->m.max_finished_bytes,
		.key_ttl = w->m.key_ttl,
		.result_ttl = w->m.result_ttl,
		.failed_ttl = w->m.failed_ttl,
	};
	struct engine *e;

	if (engine_new(&options, &e) < 0)
		abort();
	model_reset(&w->m, e);
	engine_advance(e, w->m.now - w->m.boot, w->wall);
	w->m.wall_offset = w->wall - w->m.now;
	set_limits(w, &before);
	for (uint32_t i = 0; i <= MODEL_WORKERS; i++) {
		const struct hand *h = &w->hands[i];
		int r = h->alive ? engine_worker_started(e, hand_slot(w, h), h->incarnation) : 0;

		MODEL_EXPECT(&w->m, r == 0, "a live worker isn't known: %d", r);
		if (h->alive)
			model_started(&w->m, hand_slot(w, h), h->incarnation);
	}
	for (size_t i = 0; i < w->death_count; i++) {
		const struct past *p = &w->deaths[i];

		if (p->told && engine_worker_was_lost(e, p->letter.slot, p->letter.incarnation,
						      &p->letter.death) < 0)
			abort();
	}
	for (size_t i = 0; i < w->disk.row_count && !w->m.broken; i++)
		if (w->disk.rows[i].used && !job_state_is_final(w->disk.rows[i].job.state))
			broker_restore(w, &w->disk.rows[i]);
		else if (w->disk.groups[i].used && !job_state_is_final(w->disk.groups[i].group.state))
			restore_group(w, &w->disk.groups[i]);
	engine_groups_restored(e);
	model_groups_restored(&w->m);
}

static void restore_group(struct world *w, const struct group_row *row)
{
	struct model_group like = row->judged;
	struct restored_group r = row->group;
	struct group_submission s = { .options = like.options,
				      .durability = like.durability,
				      .count = like.count,
				      .parent = engine_group_at(w->m.e, like.parent),
				      .member = like.member };
	struct group *real;
	int error;

	if (!s.parent)
		like.parent = 0;
	r.accepted_at -= w->m.boot;
	r.due = model_engine_time(&w->m, r.due);
	r.members = (struct span){ (const char *)row->members, row->member_count * sizeof(uint64_t) };
	r.settled = span_of(row->settled);
	r.error_code = span_of(row->error_code);
	error = engine_group_restore(w->m.e, &s, &r, &real);
	MODEL_EXPECT(&w->m, error == 0, "group %llu can't be restored: %d",
		     (unsigned long long)r.sequence, error);
	if (error == 0)
		model_group_restored(&w->m, &like);
}

void broker_restore(struct world *w, const struct row *row)
{
	struct model_job judged = row->judged;
	struct submission s;
	struct restored_job r = row->job;
	struct past *death = NULL;
	struct job *real;
	int error;

	/* What is meant in wall time is read from the wall clock as it is now. */
	judged.is = judged.saved;
	judged.watched = true;
	model_shift(&w->m, &judged, row->wall_offset - w->m.wall_offset);
	s = judged.terms;
	s.client = 0;
	s.blocked = false; /* its state says so */
	s.group = job_state_is_final(r.state) ? NULL : engine_group_at(w->m.e, row->judged.group);
	s.lost_group = s.group ? 0 : row->judged.group;
	s.due = model_engine_time(&w->m, s.due);
	s.deadline = model_engine_time(&w->m, row->deadline ? judged.deadline : 0);
	if (r.due != 0 && judged.terms.due_wall && r.state != JOB_RETRYING)
		r.due = r.state == JOB_SCHEDULED ? judged.due : judged.terms.due;
	r.due = model_engine_time(&w->m, r.due);
	r.accepted_at -= w->m.boot;
	if (row->error_code[0]) {
		r.error = calloc(1, sizeof(*r.error) + 1);
		if (!r.error)
			abort();
		memcpy(r.error->code, row->error_code, sizeof(r.error->code));
	}
	if (row->judged.args_size > 0 && world_chance(w, 50))
		s.args = bytes_new(world_args, row->judged.args_size);
	r.args_away = !s.args && row->judged.args_size > 0;
	error = engine_restore(w->m.e, &s, &r, &real);
	bytes_unref(s.args);
	MODEL_EXPECT(&w->m, error == 0, "job %llu can't be restored: %d",
		     (unsigned long long)r.sequence, error);
	if (error < 0) {
		free(r.error);
		return;
	}
	w->counts.restored++;
	for (size_t i = 0; i < w->death_count; i++)
		if (w->deaths[i].told && w->deaths[i].letter.slot == r.slot &&
		    w->deaths[i].letter.incarnation == r.incarnation)
			death = &w->deaths[i];
	model_restored(&w->m, &judged, r.incarnation, death ? &death->letter.death : NULL,
		       death ? &death->set : NULL);
}
