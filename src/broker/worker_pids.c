#include "worker_pids.h"
#include "job_terms.h"
#include <stdlib.h>
#include <string.h>

static uint32_t place_of(uint32_t slot)
{
	return slot == SACRIFICE_SLOT ? 0 : slot + 1;
}

void worker_pids_note(struct broker *b, uint32_t slot, uint64_t incarnation, int32_t pid)
{
	uint32_t place = place_of(slot);

	if (slot > SACRIFICE_SLOT)
		return;
	if (place >= b->pid_slots) {
		struct worker_pid *grown = realloc(b->pids, (place + 1) * sizeof(*grown));

		if (!grown)
			return; /* then it isn't shown */
		memset(grown + b->pid_slots, 0, (place + 1 - b->pid_slots) * sizeof(*grown));
		b->pids = grown;
		b->pid_slots = place + 1;
	}
	b->pids[place] = (struct worker_pid){ incarnation, pid };
}

int32_t worker_pids_get(const struct broker *b, uint32_t slot, uint64_t incarnation)
{
	uint32_t place = place_of(slot);

	return place < b->pid_slots && b->pids[place].incarnation == incarnation ? b->pids[place].pid
										 : 0;
}
