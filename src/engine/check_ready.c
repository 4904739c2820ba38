/* engine_check(): ready jobs, lanes, and the gates before them. */
#include "check.h"
#include "clock.h"

static void check_ready(struct check *k, const struct engine_queue *q, int job_class);
static unsigned check_level(struct check *k, const struct ready *r, unsigned rank, uint64_t *ready);
static uint64_t check_shelf(struct check *k, const struct ready *r, const struct shelf *s);
static void check_ready_job(struct check *k, const struct shelf *s, const struct ready *r,
			    const struct job *job);
static void check_gate(struct check *k, const struct gate *g, const char *name);
static void check_lanes(struct check *k);
static uint64_t check_lane(struct check *k, const struct lane *lane);
static void check_places(struct check *k, const struct limit_key *key);

void check_gates_begin(struct check *k)
{
	for (uint32_t i = 0; i < k->e->queue_count; i++)
		k->e->queues[i]->gate.found = (struct gate_found){ 0 };
	for (uint32_t i = 0; i < k->e->limit_key_count; i++)
		k->e->limit_keys[i]->gate.found = (struct gate_found){ 0 };
}

void check_gates_count(struct check *k, const struct job *job)
{
	struct gate *gates[] = { &job->profile->queue->gate, job->key ? &job->key->gate : NULL };

	k->keyed += job->key != NULL;
	for (size_t i = 0; i < ARRAY_SIZE(gates) && gates[i] && !job_is_final(job); i++) {
		gates[i]->found.jobs++;
		gates[i]->found.running += job->state == JOB_RUNNING;
	}
}

void check_queues(struct check *k)
{
	uint64_t users = k->e->profiles.used + 1; /* the engine's own use of the default queue */

	k->bounded = (k->e->default_limits[LIMIT_QUEUE].max_pending > 0) +
		     (k->e->default_limits[LIMIT_KEY].max_pending > 0);
	for (uint32_t i = 0; i < k->e->queue_count && !k->broken; i++) {
		const struct engine_queue *q = k->e->queues[i];

		expect(k, q->index == i && q->users > 0, "queue %s is misplaced or unused", q->name);
		users += (uint64_t)q->gate.own + q->gate.paused - q->users; /* wraps; ends at zero */
		check_gate(k, &q->gate, q->name);
		for (int c = 0; c < CLASS_COUNT; c++)
			if (q->ready[c])
				check_ready(k, q, c);
	}
	expect(k, users == 0, "queues miscount their profiles");
	check_lanes(k);
	k->queued += trials_count(k->e);
	expect(k, trials_count(k->e) == k->e->counts.suspects, "suspects are miscounted");
	expect(k, k->queued == k->states[JOB_READY], "%llu jobs are ready, %llu stand in queues",
	       (unsigned long long)k->states[JOB_READY], (unsigned long long)k->queued);
}

static void check_ready(struct check *k, const struct engine_queue *q, int job_class)
{
	const struct ready *r = q->ready[job_class];
	unsigned present = 0;
	uint64_t plain = 0;

	for (unsigned rank = 0; rank < LEVEL_COUNT && !k->broken; rank++)
		if (r->blocks[rank / LEVELS_PER_BLOCK])
			present += check_level(k, r, rank, &plain);
	expect(k, present == r->present, "queue %s miscounts its shelves", q->name);
	expect(k, (present > 0 && !q->gate.shut) == list_linked(&r->turn),
	       "queue %s has a wrong turn", q->name);
	k->queued += plain;
}

/* Returns the shelves of the row; adds the jobs without a key. */
static unsigned check_level(struct check *k, const struct ready *r, unsigned rank, uint64_t *plain)
{
	const struct level *l = level_at(r, rank);
	unsigned present = 0;

	LIST_FOREACH(it, &l->shelves) {
		const struct shelf *s = LIST_ENTRY(it, struct shelf, turn);

		present++;
		expect(k,
		       s->count > 0 && s->rank == rank &&
			       (s->lane ? s->lane->ready == r && !list_linked(&s->lane->parked)
					: s == &l->plain),
		       "a shelf of queue %s stands in a wrong row", r->queue->name);
	}
	*plain += check_shelf(k, r, &l->plain);
	expect(k, list_linked(&l->plain.turn) == (l->plain.count > 0),
	       "jobs without a key of queue %s have a wrong turn", r->queue->name);
	expect(k, (present > 0) == (r->occupied[rank / 64] >> rank % 64 & 1),
	       "priority %d of queue %s is mismarked", PRIORITY_LIMIT - (int)rank, r->queue->name);
	return present;
}

static uint64_t check_shelf(struct check *k, const struct ready *r, const struct shelf *s)
{
	uint64_t count = s->back.used, last = 0;

	LIST_FOREACH(it, &s->fresh) {
		const struct job *job = LIST_ENTRY(it, struct job, place);

		count++;
		check_ready_job(k, s, r, job);
		expect(k, job->sequence > last, "job %llu stands before an earlier one",
		       (unsigned long long)job->sequence);
		last = job->sequence;
	}
	for (uint32_t i = 0; i < s->back.used; i++) {
		const struct job *job = container_of(s->back.slots[i].node, struct job, due);

		check_ready_job(k, s, r, job);
		expect(k, (uint64_t)s->back.slots[i].due == job->sequence,
		       "job %llu came back to another's place", (unsigned long long)job->sequence);
	}
	expect(k, count == s->count, "queue %s miscounts its ready jobs", r->queue->name);
	return count;
}

static void check_ready_job(struct check *k, const struct shelf *s, const struct ready *r,
			    const struct job *job)
{
	expect(k,
	       job->state == JOB_READY && ready_of(job) == r && shelf_of(k->e, job) == s &&
		       PRIORITY_LIMIT - job->profile->priority == (int)s->rank &&
		       job->key == (s->lane ? s->lane->key : NULL),
	       "job %llu stands wrongly among the ready ones", (unsigned long long)job->sequence);
}

static void check_gate(struct check *k, const struct gate *g, const char *name)
{
	int64_t at = gate_opens_at(g, k->e->now);

	expect(k, g->found.jobs == g->jobs && g->found.running == g->running,
	       "%s counts %llu jobs, %u of them running; there are %llu and %u", name,
	       (unsigned long long)g->jobs, g->running, (unsigned long long)g->found.jobs,
	       g->found.running);
	expect(k, g->shut == (at > k->e->now), "the gate of %s is %s", name, g->shut ? "shut" : "open");
	expect(k, heap_holds(&g->due) && heap_due(&k->e->gates, &g->due) == (g->shut ? at : TIME_NEVER),
	       "the gate of %s is due at a wrong time", name);
	k->bounded += g->bounded;
}

static void check_lanes(struct check *k)
{
	const struct lane *lane;
	uint64_t users = 0, keyed = 0;
	uint32_t pos = 0;

	while ((lane = map_next(&k->e->lanes, &pos)))
		users += check_lane(k, lane);
	for (uint32_t i = 0; i < k->e->limit_key_count; i++)
		keyed += k->e->limit_keys[i]->gate.jobs;
	expect(k, users == keyed, "lanes have %llu jobs, keys %llu", (unsigned long long)users,
	       (unsigned long long)keyed);
}

static uint64_t check_lane(struct check *k, const struct lane *lane)
{
	uint64_t users = 0;
	unsigned filled = 0;

	expect(k, lane->shelves, "a lane of key %s has outlived its jobs", lane->key->name);
	for (const struct shelf *s = lane->shelves; s; s = s->next) {
		uint64_t count = check_shelf(k, lane->ready, s);

		users += s->users;
		filled += count > 0;
		k->queued += count;
		expect(k, count <= s->users && s->lane == lane, "a shelf of key %s is miscounted",
		       lane->key->name);
		expect(k, list_linked(&s->turn) == (count > 0 && !list_linked(&lane->parked)),
		       "a shelf of key %s has a wrong turn", lane->key->name);
	}
	expect(k, filled == lane->filled && (filled > 0 || !list_linked(&lane->parked)),
	       "a lane of key %s is miscounted", lane->key->name);
	return users;
}

void check_limit_keys(struct check *k)
{
	uint64_t users = 0;

	for (uint32_t i = 0; i < k->e->limit_key_count && !k->broken; i++) {
		const struct limit_key *key = k->e->limit_keys[i];

		expect(k, key->index == i && key->users > 0, "key %s is misplaced or unused",
		       key->name);
		users += key->users - key->gate.own - key->gate.paused;
		check_gate(k, &key->gate, key->name);
		check_places(k, key);
	}
	LIST_FOREACH(it, &k->e->gone)
		k->keyed += LIST_ENTRY(it, struct job, place)->key != NULL;
	expect(k, users == k->keyed, "keys miscount their jobs");
	expect(k, k->bounded == k->e->bounded_gates, "%u gates are bounded, %u are counted",
	       k->bounded, k->e->bounded_gates);
}

static void check_places(struct check *k, const struct limit_key *key)
{
	for (int c = 0; c < CLASS_COUNT; c++) {
		const struct list *parked = &key->places[c].parked;

		LIST_FOREACH(it, parked) {
			const struct lane *lane = LIST_ENTRY(it, struct lane, parked);

			expect(k, lane->key == key && (int)lane->ready->job_class == c,
			       "a lane is parked at key %s, and isn't its own", key->name);
		}
		expect(k,
		       list_linked(&key->places[c].waking) == (!list_empty(parked) && !key->gate.shut),
		       "lanes of key %s are asleep", key->name);
	}
}
