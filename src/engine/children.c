/*
 * Children: jobs that a running attempt has submitted. They are in memory and belong to it: when it ends, in whatever way,
 * those that are left are cancelled. An attempt that only waits for its children gives its slot back meanwhile, so that
 * they can run where it does.
 */
#include "engine_parts.h"
#include "engine_workers.h"
#include <errno.h>
#include <stdlib.h>

struct job *engine_attempt(const struct engine *e, uint64_t token)
{
	return map_get(&e->attempts, token, &token);
}

/* Room to note the end of one parent more. */
static int endings_reserve(struct engine *e)
{
	uint32_t size = MAX(e->endings_size * 2, 16U);
	uint64_t *endings;

	if (e->parents + e->ending_count < e->endings_size)
		return 0;
	endings = reallocarray(e->endings, size, sizeof(*endings));
	if (!endings)
		return -ENOMEM;
	e->endings = endings;
	e->endings_size = size;
	return 0;
}

int children_admit(struct engine *e, const struct submission *s)
{
	struct job *parent = engine_attempt(e, s->client & ~ATTEMPT_CLIENT);

	if (s->durability != DURABILITY_MEMORY || s->detached)
		return -EINVAL;
	if (!parent || parent->cancelling)
		return -ESTALE;
	if (parent->parent)
		return 0;
	if (endings_reserve(e) < 0)
		return -ENOMEM;
	parent->parent = true;
	e->parents++;
	return 0;
}

void parent_ended(struct engine *e, struct job *job)
{
	job->parent = false;
	e->parents--;
	e->endings[e->ending_count++] = job->token;
}

void children_run(struct engine *e)
{
	while (e->ending_count > 0)
		engine_client_gone(e, attempt_client(e->endings[--e->ending_count]));
}

void engine_park(struct engine *e, uint32_t slot, uint64_t token, bool parked)
{
	struct job *job = attempt_find(e, slot, token);

	if (job && job->parked != parked)
		worker_park(e, job, parked);
}
