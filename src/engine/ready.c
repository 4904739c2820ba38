/*
 * Ready jobs, by (queue, class), then priority, then acceptance. Each step costs the same however many jobs wait, but
 * for those that come back out of order, which cost a heap's logarithm.
 */
#include "engine_parts.h"
#include <errno.h>
#include <stdlib.h>

static struct ready *ready_of(const struct job *job);
static unsigned rank_of(int priority);
static struct level *level_at(const struct ready *r, unsigned rank);
static unsigned first_occupied(const struct ready *r);
static struct job *level_first(const struct level *l);
static void level_insert(struct level *l, struct job *job);
static void level_remove(struct level *l, struct job *job);
static uint64_t level_ahead(const struct level *l, const struct job *job);

int ready_prepare(struct engine_queue *q, enum job_class job_class, int priority)
{
	struct ready *r = q->ready[job_class];
	unsigned block = rank_of(priority) / LEVELS_PER_BLOCK;
	struct level *levels;

	if (!r) {
		r = calloc(1, sizeof(*r));
		if (!r)
			return -ENOMEM;
		r->queue = q;
		list_init(&r->turn);
		q->ready[job_class] = r;
	}
	if (r->blocks[block])
		return 0;
	levels = calloc(LEVELS_PER_BLOCK, sizeof(*levels));
	if (!levels)
		return -ENOMEM;
	for (int i = 0; i < LEVELS_PER_BLOCK; i++) {
		list_init(&levels[i].fresh);
		heap_init(&levels[i].back);
	}
	r->blocks[block] = levels;
	return 0;
}

void ready_free(struct ready *r)
{
	if (!r)
		return;
	for (int b = 0; b < BLOCK_COUNT; b++) {
		for (int i = 0; r->blocks[b] && i < LEVELS_PER_BLOCK; i++)
			heap_done(&r->blocks[b][i].back);
		free(r->blocks[b]);
	}
	list_remove(&r->turn);
	free(r);
}

void ready_insert(struct engine *e, struct job *job)
{
	struct ready *r = ready_of(job);
	unsigned rank = rank_of(job->profile->priority);
	struct level *l = level_at(r, rank);

	level_insert(l, job);
	if (l->count++ == 0)
		r->occupied[rank / 64] |= UINT64_C(1) << rank % 64;
	if (r->count++ == 0)
		list_push_back(&e->turns[job->profile->job_class], &r->turn);
}

void ready_remove(struct engine *e GA_UNUSED, struct job *job)
{
	struct ready *r = ready_of(job);
	unsigned rank = rank_of(job->profile->priority);
	struct level *l = level_at(r, rank);

	level_remove(l, job);
	if (--l->count == 0)
		r->occupied[rank / 64] &= ~(UINT64_C(1) << rank % 64);
	if (--r->count == 0)
		list_remove(&r->turn);
}

struct job *ready_next(struct engine *e, enum job_class job_class)
{
	struct list *turns = &e->turns[job_class];
	struct ready *r;

	if (list_empty(turns))
		return NULL;
	r = LIST_ENTRY(turns->next, struct ready, turn);
	return level_first(level_at(r, first_occupied(r)));
}

void ready_rotate(struct engine *e, enum job_class job_class, struct engine_queue *served)
{
	struct ready *r = served->ready[job_class];

	if (r->count == 0)
		return;
	list_remove(&r->turn);
	list_push_back(&e->turns[job_class], &r->turn);
}

uint64_t engine_ahead(const struct engine *e GA_UNUSED, const struct job *job)
{
	struct ready *r = ready_of(job);
	unsigned rank = rank_of(job->profile->priority);
	uint64_t ahead = 0;

	if (job->state != JOB_READY)
		return 0;
	for (unsigned i = first_occupied(r); i < rank; i++)
		if (r->occupied[i / 64] >> i % 64 & 1)
			ahead += level_at(r, i)->count;
	return ahead + level_ahead(level_at(r, rank), job);
}

static struct ready *ready_of(const struct job *job)
{
	return job->profile->queue->ready[job->profile->job_class];
}

static unsigned rank_of(int priority)
{
	return (unsigned)(PRIORITY_LIMIT - priority);
}

static struct level *level_at(const struct ready *r, unsigned rank)
{
	return &r->blocks[rank / LEVELS_PER_BLOCK][rank % LEVELS_PER_BLOCK];
}

/* There is one: r->count > 0. */
static unsigned first_occupied(const struct ready *r)
{
	unsigned word = 0;

	while (!r->occupied[word])
		word++;
	return word * 64 + (unsigned)__builtin_ctzll(r->occupied[word]);
}

static struct job *level_first(const struct level *l)
{
	struct job *fresh, *back;

	if (l->back.used == 0)
		return LIST_ENTRY(l->fresh.next, struct job, place);
	back = container_of(l->back.slots[0].node, struct job, due);
	if (list_empty(&l->fresh))
		return back;
	fresh = LIST_ENTRY(l->fresh.next, struct job, place);
	return fresh->sequence < back->sequence ? fresh : back;
}

static void level_insert(struct level *l, struct job *job)
{
	struct list *before = &l->fresh;

	if (list_empty(&l->fresh) ||
	    LIST_ENTRY(l->fresh.prev, struct job, place)->sequence < job->sequence) {
		list_push_back(&l->fresh, &job->place);
		return;
	}
	if (job->sequence < LIST_ENTRY(l->fresh.next, struct job, place)->sequence) {
		list_push_front(&l->fresh, &job->place);
		return;
	}
	if (heap_set(&l->back, &job->due, (int64_t)job->sequence) == 0)
		return;
	/* No memory: its place in the list, then, by walking to it. */
	do
		before = before->next;
	while (LIST_ENTRY(before, struct job, place)->sequence < job->sequence);
	list_push_back(before, &job->place);
}

static void level_remove(struct level *l, struct job *job)
{
	if (!heap_holds(&job->due)) {
		list_remove(&job->place);
		return;
	}
	heap_remove(&l->back, &job->due);
	if (l->back.used == 0)
		heap_done(&l->back); /* a crowd that came back once needs no memory for ever */
}

static uint64_t level_ahead(const struct level *l, const struct job *job)
{
	uint64_t ahead = 0;

	for (uint32_t i = 0; i < l->back.used; i++)
		ahead += l->back.slots[i].due < (int64_t)job->sequence;
	LIST_FOREACH(it, &l->fresh) {
		if (LIST_ENTRY(it, struct job, place)->sequence >= job->sequence)
			break;
		ahead++;
	}
	return ahead;
}
