/* Workers: which of them takes the next job of a class, and what they hold. Their deaths: crashes.c. */
#include "clock.h"
#include "engine_parts.h"
#include <errno.h>
#include <stdlib.h>

static int slots_grow(struct engine *e, uint32_t slot);
static int worker_new(struct engine *e, uint32_t slot);
static void seat_update(struct engine *e, struct worker *w, enum job_class job_class);
static void seats_update(struct engine *e, struct worker *w);

void workers_init(struct engine *e)
{
	for (int c = 0; c < CLASS_COUNT; c++)
		for (int l = 0; l < LOAD_COUNT; l++)
			list_init(&e->loads[c].workers[l]);
}

void workers_free(struct engine *e)
{
	for (uint32_t i = 0; i < e->worker_count; i++)
		free(e->workers[i]);
	free(e->workers);
	free(e->slots);
}

struct worker *worker_at(const struct engine *e, uint32_t slot)
{
	return slot < e->slot_count ? e->slots[slot] : NULL;
}

int engine_worker_started(struct engine *e, uint32_t slot, uint64_t incarnation)
{
	struct worker *w = worker_at(e, slot);

	if (slot >= SLOT_LIMIT || incarnation == 0)
		return -EINVAL;
	if (!w) {
		int r = worker_new(e, slot);

		if (r < 0)
			return r;
		w = e->slots[slot];
	}
	if (w->incarnation == incarnation)
		return 0;
	if (w->incarnation != 0)
		return -EBUSY;
	w->incarnation = incarnation;
	w->dispatched = w->finished = 0;
	if (slot == SACRIFICE_SLOT)
		trials_started(e);
	return 0;
}

int engine_worker_joined(struct engine *e, const struct engine_worker *joining)
{
	struct worker *w = worker_at(e, joining->slot);

	if (!w || w->incarnation == 0 || w->incarnation != joining->incarnation)
		return -ESTALE;
	w->joined = true;
	for (int c = 0; c < CLASS_COUNT; c++)
		w->capacity[c] = joining->capacity[c];
	seats_update(e, w);
	return 0;
}

bool engine_worker_holds(struct engine *e, uint32_t slot, uint64_t token)
{
	struct job *job = attempt_find(e, slot, token);

	if (!job)
		return false;
	job->unconfirmed = false;
	if (job->cancelling) { /* the request may have been lost with the connection */
		actions_reserve_or_abort(e, 1);
		actions_push(e, ACTION_CANCEL, job);
	}
	return true;
}

void engine_worker_drains(struct engine *e, uint32_t slot)
{
	struct worker *w = worker_at(e, slot);

	if (!w || w->incarnation == 0)
		return;
	w->draining = true;
	seats_update(e, w);
}

void worker_shut(struct engine *e, struct worker *w)
{
	w->joined = w->draining = false;
	seats_update(e, w);
}

void worker_clear(struct worker *w)
{
	w->incarnation = 0;
	for (int c = 0; c < CLASS_COUNT; c++)
		w->capacity[c] = w->held[c] = w->withheld[c] = 0;
}

void engine_slot_freed(struct engine *e, uint32_t slot, enum job_class job_class)
{
	struct worker *w = worker_at(e, slot);

	if (!w || (unsigned)job_class >= CLASS_COUNT || w->withheld[job_class] == 0)
		return;
	w->withheld[job_class]--;
	w->held[job_class]--;
	seat_update(e, w, job_class);
}

uint64_t engine_worker_incarnation(const struct engine *e, uint32_t slot, bool *ret_joined)
{
	const struct worker *w = worker_at(e, slot);

	if (ret_joined)
		*ret_joined = w && w->joined;
	return w ? w->incarnation : 0;
}

int engine_worker_view(const struct engine *e, uint32_t index, struct worker_view *ret_view)
{
	const struct worker *w;

	if (index >= e->worker_count)
		return -ENOENT;
	w = e->workers[index];
	*ret_view = (struct worker_view){
		.slot = w->slot,
		.incarnation = w->incarnation,
		.joined = w->joined,
		.draining = w->draining,
		.dispatched = w->dispatched,
		.finished = w->finished,
	};
	for (int c = 0; c < CLASS_COUNT; c++) {
		ret_view->capacity[c] = w->capacity[c];
		ret_view->held[c] = w->held[c];
	}
	return 0;
}

struct worker *worker_for(struct engine *e, enum job_class job_class)
{
	const struct loads *loads = &e->loads[job_class];

	if (!loads->occupied)
		return NULL;
	return container_of(loads->workers[__builtin_ctzll(loads->occupied)].next, struct worker,
			    seats[job_class].node);
}

bool worker_has_room(const struct worker *w, enum job_class job_class)
{
	return w->joined && !w->draining && w->held[job_class] < w->capacity[job_class];
}

void worker_take(struct engine *e, struct worker *w, struct job *job)
{
	list_push_back(&w->jobs, &job->place);
	w->held[job->profile->job_class]++;
	w->dispatched++;
	seat_update(e, w, job->profile->job_class);
}

void worker_give(struct engine *e, struct job *job)
{
	struct worker *w = e->slots[job->slot];

	list_remove(&job->place);
	if (job->parked)
		job->parked = false;
	else
		w->held[job->profile->job_class]--;
	seat_update(e, w, job->profile->job_class);
}

void worker_park(struct engine *e, struct job *job, bool parked)
{
	struct worker *w = e->slots[job->slot];

	job->parked = parked;
	if (parked)
		w->held[job->profile->job_class]--;
	else
		w->held[job->profile->job_class]++; /* it goes on at once, even past the capacity */
	seat_update(e, w, job->profile->job_class);
}

void worker_withhold(struct worker *w, enum job_class job_class)
{
	w->withheld[job_class]++;
	w->held[job_class]++;
}

int worker_load(uint32_t held)
{
	int octave;

	if (held < 8)
		return (int)held;
	octave = 31 - __builtin_clz(held);
	return MIN(8 + (octave - 3) * 4 + (int)(held >> (octave - 2) & 3), LOAD_COUNT - 1);
}

static int slots_grow(struct engine *e, uint32_t slot)
{
	uint32_t count = MAX(slot + 1, MIN(e->slot_count * 2, (uint32_t)SLOT_LIMIT));
	struct worker **slots, **workers;

	if (slot < e->slot_count)
		return 0;
	slots = reallocarray(e->slots, count, sizeof(struct worker *));
	if (!slots)
		return -ENOMEM;
	e->slots = slots;
	workers = reallocarray(e->workers, count, sizeof(struct worker *));
	if (!workers)
		return -ENOMEM;
	e->workers = workers;
	while (e->slot_count < count)
		e->slots[e->slot_count++] = NULL;
	return 0;
}

static int worker_new(struct engine *e, uint32_t slot)
{
	struct worker *w;
	uint32_t i;

	if (slots_grow(e, slot) < 0)
		return -ENOMEM;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->slot = slot;
	list_init(&w->jobs);
	for (int c = 0; c < CLASS_COUNT; c++) {
		list_init(&w->seats[c].node);
		w->seats[c].load = -1;
	}
	for (i = e->worker_count++; i > 0 && e->workers[i - 1]->slot > slot; i--)
		e->workers[i] = e->workers[i - 1];
	e->workers[i] = w;
	e->slots[slot] = w;
	return 0;
}

/* To the end of the list where it belongs now, or of the one where it was: workers of one load take turns. */
static void seat_update(struct engine *e, struct worker *w, enum job_class job_class)
{
	struct loads *loads = &e->loads[job_class];
	struct seat *seat = &w->seats[job_class];
	bool free = worker_has_room(w, job_class) &&
		    w->slot != SACRIFICE_SLOT; /* who goes there is chosen */

	list_remove(&seat->node);
	if (seat->load >= 0 && list_empty(&loads->workers[seat->load]))
		loads->occupied &= ~(UINT64_C(1) << seat->load);
	seat->load = (int8_t)(free ? worker_load(w->held[job_class]) : -1);
	if (!free)
		return;
	list_push_back(&loads->workers[seat->load], &seat->node);
	loads->occupied |= UINT64_C(1) << seat->load;
}

static void seats_update(struct engine *e, struct worker *w)
{
	for (int c = 0; c < CLASS_COUNT; c++)
		seat_update(e, w, (enum job_class)c);
}
