/*
 * Ready jobs, by (queue, class), then priority, then lanes in turn, then acceptance. Each step costs the same however many
 * jobs wait, but for those that come back out of order, which cost a heap's logarithm.
 */
#include "engine_parts.h"
#include <errno.h>
#include <stdlib.h>

enum { WAKES_PER_RUN = 16 };

static unsigned rank_of(const struct job *job);
static void shelf_init(struct shelf *s, struct lane *lane, unsigned rank);
static void shelf_filled(struct engine *e, struct ready *r, struct shelf *s);
static void shelf_emptied(struct ready *r, struct shelf *s);
static void shelf_join(struct engine *e, struct ready *r, struct shelf *s);
static void shelf_quit(struct ready *r, struct shelf *s);
static struct job *shelf_first(const struct shelf *s);
static void shelf_insert(struct shelf *s, struct job *job);
static void shelf_take(struct shelf *s, struct job *job);
static int lane_new(struct engine *e, struct ready *r, struct limit_key *key, struct lane **ret_lane);
static struct lane *lane_find(const struct engine *e, struct ready *r, struct limit_key *key);
static void lane_free(struct engine *e, struct lane *lane);
static void lane_park(struct lane *lane);
static void lane_wake(struct engine *e, struct lane *lane);
static bool wake_one(struct engine *e, enum job_class job_class);

int ready_prepare(struct engine_queue *q, enum job_class job_class, int priority)
{
	struct ready *r = q->ready[job_class];
	unsigned rank = (unsigned)(PRIORITY_LIMIT - priority), block = rank / LEVELS_PER_BLOCK;
	struct level *levels;

	if (!r) {
		r = calloc(1, sizeof(*r));
		if (!r)
			return -ENOMEM;
		r->queue = q;
		r->job_class = job_class;
		list_init(&r->turn);
		q->ready[job_class] = r;
	}
	if (r->blocks[block])
		return 0;
	levels = calloc(LEVELS_PER_BLOCK, sizeof(*levels));
	if (!levels)
		return -ENOMEM;
	for (unsigned i = 0; i < LEVELS_PER_BLOCK; i++) {
		list_init(&levels[i].shelves);
		shelf_init(&levels[i].plain, NULL, block * LEVELS_PER_BLOCK + i);
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
			heap_done(&r->blocks[b][i].plain.back);
		free(r->blocks[b]);
	}
	list_remove(&r->turn);
	free(r);
}

int lane_acquire(struct engine *e, const struct job *job)
{
	struct ready *r = ready_of(job);
	struct lane *lane = lane_find(e, r, job->key);
	struct shelf *s = shelf_of(e, job);

	if (s) {
		s->users++;
		return 0;
	}
	if (!lane && lane_new(e, r, job->key, &lane) < 0)
		return -ENOMEM;
	s = calloc(1, sizeof(*s));
	if (!s) {
		if (!lane->shelves)
			lane_free(e, lane);
		return -ENOMEM;
	}
	shelf_init(s, lane, rank_of(job));
	s->users = 1;
	s->next = lane->shelves;
	lane->shelves = s;
	return 0;
}

void lane_release(struct engine *e, const struct job *job)
{
	struct shelf *s = shelf_of(e, job), **at;

	if (--s->users > 0)
		return;
	at = &s->lane->shelves;
	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	if (!s->lane->shelves)
		lane_free(e, s->lane);
	heap_done(&s->back);
	free(s);
}

void ready_insert(struct engine *e, struct job *job)
{
	struct ready *r = ready_of(job);
	struct shelf *s = shelf_of(e, job);

	shelf_insert(s, job);
	r->count++;
	if (s->count++ == 0)
		shelf_filled(e, r, s);
}

void ready_remove(struct engine *e, struct job *job)
{
	struct ready *r = ready_of(job);
	struct shelf *s = shelf_of(e, job);

	shelf_take(s, job);
	r->count--;
	if (--s->count == 0)
		shelf_emptied(r, s);
}

void ready_wake(struct engine *e)
{
	e->wakeful = false;
	for (int c = 0; c < CLASS_COUNT; c++) {
		for (int i = 0; i < WAKES_PER_RUN && wake_one(e, (enum job_class)c); i++)
			;
		e->wakeful |= !list_empty(&e->waking[c]);
	}
}

struct job *ready_next(struct engine *e, enum job_class job_class)
{
	struct list *turns = &e->turns[job_class];

	for (;;) {
		unsigned word = 0;
		struct ready *r;
		struct shelf *s;
		struct level *l;

		if (list_empty(turns)) {
			if (!wake_one(e, job_class))
				return NULL;
			continue; /* its queue may be shut: then the next one */
		}
		r = LIST_ENTRY(turns->next, struct ready, turn);
		while (!r->occupied[word])
			word++;
		l = level_at(r, word * 64 + (unsigned)__builtin_ctzll(r->occupied[word]));
		s = LIST_ENTRY(l->shelves.next, struct shelf, turn);
		if (!s->lane || !s->lane->key->gate.shut)
			return shelf_first(s);
		lane_park(s->lane);
	}
}

/* To the end of a row that has others, too. */
static void to_the_end(struct list *node)
{
	struct list *head = node->prev;

	if (node->next == head)
		return;
	list_remove(node);
	list_push_back(head, node);
}

void ready_rotate(struct engine *e, const struct job *job)
{
	struct ready *r = ready_of(job);
	struct shelf *s = shelf_of(e, job);

	if (list_linked(&s->turn))
		to_the_end(&s->turn);
	if (list_linked(&r->turn))
		to_the_end(&r->turn);
}

void ready_gate_queue(struct engine *e, struct engine_queue *q)
{
	for (int c = 0; c < CLASS_COUNT; c++) {
		struct ready *r = q->ready[c];

		if (!r || r->present == 0)
			continue;
		list_remove(&r->turn);
		if (!q->gate.shut)
			list_push_back(&e->turns[c], &r->turn);
	}
}

void ready_gate_key(struct engine *e, struct limit_key *key)
{
	for (int c = 0; c < CLASS_COUNT; c++) {
		if (key->gate.shut) {
			list_remove(&key->places[c].waking);
		} else if (!list_empty(&key->places[c].parked)) {
			e->wakeful = true;
			list_push_front(&e->waking[c], &key->places[c].waking);
			wake_one(e, (enum job_class)c);
		}
	}
}

bool lane_matches(const void *item, const void *name)
{
	const struct lane *lane = item, *wanted = name;

	return lane->ready == wanted->ready && lane->key == wanted->key;
}

struct ready *ready_of(const struct job *job)
{
	return job->profile->queue->ready[job->profile->job_class];
}

static unsigned rank_of(const struct job *job)
{
	return (unsigned)(PRIORITY_LIMIT - job->profile->priority);
}

struct level *level_at(const struct ready *r, unsigned rank)
{
	return &r->blocks[rank / LEVELS_PER_BLOCK][rank % LEVELS_PER_BLOCK];
}

struct shelf *shelf_of(const struct engine *e, const struct job *job)
{
	struct ready *r = ready_of(job);
	unsigned rank = rank_of(job);
	struct lane *lane;
	struct shelf *s;

	if (GA_LIKELY(!job->key))
		return &level_at(r, rank)->plain;
	lane = lane_find(e, r, job->key);
	s = lane ? lane->shelves : NULL;
	while (s && s->rank != rank)
		s = s->next;
	return s;
}

static void shelf_init(struct shelf *s, struct lane *lane, unsigned rank)
{
	list_init(&s->turn);
	list_init(&s->fresh);
	heap_init(&s->back);
	s->lane = lane;
	s->rank = rank;
}

static void shelf_filled(struct engine *e, struct ready *r, struct shelf *s)
{
	struct lane *lane = s->lane;

	if (lane) {
		lane->filled++;
		if (list_linked(&lane->parked))
			return;
		if (lane->key->gate.shut) {
			lane_park(lane);
			return;
		}
	}
	shelf_join(e, r, s);
}

static void shelf_emptied(struct ready *r, struct shelf *s)
{
	struct lane *lane = s->lane;

	if (list_linked(&s->turn))
		shelf_quit(r, s);
	if (!lane || --lane->filled > 0 || !list_linked(&lane->parked))
		return;
	list_remove(&lane->parked);
	if (list_empty(&lane->key->places[r->job_class].parked))
		list_remove(&lane->key->places[r->job_class].waking);
}

static void shelf_join(struct engine *e, struct ready *r, struct shelf *s)
{
	list_push_back(&level_at(r, s->rank)->shelves, &s->turn);
	r->occupied[s->rank / 64] |= UINT64_C(1) << s->rank % 64;
	if (r->present++ == 0 && !r->queue->gate.shut)
		list_push_back(&e->turns[r->job_class], &r->turn);
}

static void shelf_quit(struct ready *r, struct shelf *s)
{
	list_remove(&s->turn);
	if (list_empty(&level_at(r, s->rank)->shelves))
		r->occupied[s->rank / 64] &= ~(UINT64_C(1) << s->rank % 64);
	if (--r->present == 0)
		list_remove(&r->turn);
}

static struct job *shelf_first(const struct shelf *s)
{
	struct job *fresh, *back;

	if (s->back.used == 0)
		return LIST_ENTRY(s->fresh.next, struct job, place);
	back = container_of(s->back.slots[0].node, struct job, due);
	if (list_empty(&s->fresh))
		return back;
	fresh = LIST_ENTRY(s->fresh.next, struct job, place);
	return fresh->sequence < back->sequence ? fresh : back;
}

static void shelf_insert(struct shelf *s, struct job *job)
{
	struct list *before = &s->fresh;

	if (list_empty(&s->fresh) ||
	    LIST_ENTRY(s->fresh.prev, struct job, place)->sequence < job->sequence) {
		list_push_back(&s->fresh, &job->place);
		return;
	}
	if (job->sequence < LIST_ENTRY(s->fresh.next, struct job, place)->sequence) {
		list_push_front(&s->fresh, &job->place);
		return;
	}
	if (heap_set(&s->back, &job->due, (int64_t)job->sequence) == 0)
		return;
	/* No memory: its place in the list, then, by walking to it. */
	do
		before = before->next;
	while (LIST_ENTRY(before, struct job, place)->sequence < job->sequence);
	list_push_back(before, &job->place);
}

static void shelf_take(struct shelf *s, struct job *job)
{
	if (!heap_holds(&job->due)) {
		list_remove(&job->place);
		return;
	}
	heap_remove(&s->back, &job->due);
	if (s->back.used == 0)
		heap_done(&s->back); /* a crowd that came back once needs no memory for ever */
}

static uint64_t lane_hash(const struct ready *r, const struct limit_key *key)
{
	uint64_t hash = ((uintptr_t)r ^ (uintptr_t)key << 20) * UINT64_C(0x9e3779b97f4a7c15);

	return hash ^ hash >> 32;
}

static struct lane *lane_find(const struct engine *e, struct ready *r, struct limit_key *key)
{
	struct lane *lane = key->recent;

	if (lane && lane->ready == r)
		return lane;
	lane = map_get(&e->lanes, lane_hash(r, key), &(struct lane){ .ready = r, .key = key });
	if (lane)
		key->recent = lane;
	return lane;
}

static int lane_new(struct engine *e, struct ready *r, struct limit_key *key, struct lane **ret_lane)
{
	struct lane *lane = calloc(1, sizeof(*lane));

	if (!lane)
		return -ENOMEM;
	lane->ready = r;
	lane->key = key;
	list_init(&lane->parked);
	if (map_put(&e->lanes, lane_hash(r, key), lane) < 0) {
		free(lane);
		return -ENOMEM;
	}
	*ret_lane = lane;
	return 0;
}

static void lane_free(struct engine *e, struct lane *lane)
{
	map_take(&e->lanes, lane_hash(lane->ready, lane->key), lane);
	if (lane->key->recent == lane)
		lane->key->recent = NULL;
	free(lane);
}

static void lane_park(struct lane *lane)
{
	for (struct shelf *s = lane->shelves; s; s = s->next)
		if (list_linked(&s->turn))
			shelf_quit(lane->ready, s);
	list_push_back(&lane->key->places[lane->ready->job_class].parked, &lane->parked);
}

static void lane_wake(struct engine *e, struct lane *lane)
{
	list_remove(&lane->parked);
	for (struct shelf *s = lane->shelves; s; s = s->next)
		if (s->count > 0)
			shelf_join(e, lane->ready, s);
}

/* Keys with lanes that might start something take turns. */
static bool wake_one(struct engine *e, enum job_class job_class)
{
	struct list *node = e->waking[job_class].next;
	struct limit_key *key;

	if (list_empty(&e->waking[job_class]))
		return false;
	key = container_of(node, struct limit_key, places[job_class].waking);
	lane_wake(e, LIST_ENTRY(key->places[job_class].parked.next, struct lane, parked));
	list_remove(node);
	if (!list_empty(&key->places[job_class].parked))
		list_push_back(&e->waking[job_class], node);
	return true;
}
