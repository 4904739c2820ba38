/* How many jobs stand before one. For people, so an estimate will do where counting would take long. */
#include "engine_parts.h"

enum { LOOKED_AT = 1000 };

static uint64_t shelf_ahead(const struct shelf *s, const struct job *job);
static uint64_t fresh_ahead(const struct shelf *s, const struct job *job);
static uint64_t level_ahead(const struct level *l, const struct shelf *but, uint64_t each);

uint64_t engine_ahead(const struct engine *e, const struct job *job)
{
	const struct ready *r = ready_of(job);
	const struct shelf *own;
	uint64_t ahead, before = 0;

	if (job->state != JOB_READY || job->suspect)
		return 0;
	own = shelf_of(e, job);
	ahead = shelf_ahead(own, job);
	for (unsigned rank = 0; rank < own->rank; rank++)
		if (r->occupied[rank / 64] >> rank % 64 & 1)
			before += level_ahead(level_at(r, rank), NULL, UINT64_MAX);
	return before + ahead + level_ahead(level_at(r, own->rank), own, ahead);
}

uint64_t engine_ahead_of_key(const struct engine *e, const struct job *job)
{
	const struct shelf *own;
	uint64_t ahead;

	if (job->state != JOB_READY || job->suspect || !job->key)
		return 0;
	own = shelf_of(e, job);
	ahead = shelf_ahead(own, job);
	for (const struct shelf *s = own->lane->shelves; s; s = s->next)
		if (s->rank < own->rank)
			ahead += s->count;
	return ahead;
}

static uint64_t shelf_ahead(const struct shelf *s, const struct job *job)
{
	uint32_t looked_at = MIN(s->back.used, (uint32_t)LOOKED_AT);
	uint64_t ahead = 0;

	for (uint32_t i = 0; i < looked_at; i++)
		ahead += s->back.slots[i].due < (int64_t)job->sequence;
	if (looked_at > 0)
		ahead = ahead * s->back.used / looked_at;
	return ahead + fresh_ahead(s, job);
}

/* Counted up to a thousand; past that, as if the sequences were spread evenly. */
static uint64_t fresh_ahead(const struct shelf *s, const struct job *job)
{
	uint64_t count = s->count - s->back.used, ahead = 0, first, last;

	LIST_FOREACH(it, &s->fresh) {
		if (LIST_ENTRY(it, struct job, place)->sequence >= job->sequence)
			return ahead;
		if (++ahead >= LOOKED_AT)
			break;
	}
	if (ahead < LOOKED_AT)
		return ahead;
	first = LIST_ENTRY(s->fresh.next, struct job, place)->sequence;
	last = LIST_ENTRY(s->fresh.prev, struct job, place)->sequence;
	if (job->sequence >= last)
		return count - (job->sequence == last);
	return (uint64_t)((double)(job->sequence - first) / (double)(last - first) * (double)count);
}

/* Jobs of other lanes that leave before a lane has had `each` turns. */
static uint64_t level_ahead(const struct level *l, const struct shelf *but, uint64_t each)
{
	uint64_t ahead = 0;
	unsigned looked_at = 0;

	LIST_FOREACH(it, &l->shelves) {
		const struct shelf *s = LIST_ENTRY(it, struct shelf, turn);

		if (s != but)
			ahead += MIN(s->count, each);
		if (++looked_at >= LOOKED_AT)
			break;
	}
	return ahead;
}
