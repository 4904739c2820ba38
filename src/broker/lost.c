#include "lost.h"
#include "dispatch.h"
#include "engine_durable.h"
#include "log.h"
#include "sacrifice.h"
#include <errno.h>
#include <stdlib.h>

#define LOST_SILENCE (50 * NSEC_PER_MSEC)

struct lost {
	struct list mates;
	struct broker *broker;
	struct loop_timer silence;
	struct control_message death;
};

/* The one that had this slot; `incarnation` 0: whichever. */
static struct lost *find_lost(struct broker *b, uint32_t slot, uint64_t incarnation)
{
	LIST_FOREACH(node, &b->lost) {
		struct lost *lost = LIST_ENTRY(node, struct lost, mates);

		if (lost->death.slot == slot && (!incarnation || lost->death.incarnation == incarnation))
			return lost;
	}
	return NULL;
}

static struct engine_death death_from(const struct control_message *m)
{
	return (struct engine_death){ .culprit = m->token,
				      .signal = m->status,
				      .asked = m->flags & CONTROL_BLAMELESS };
}

/* What is drained here may be a HELLO, on which the supervisor is heard, who may say that this slot is filled again. So
 * the lost one is looked for anew behind it: that may have given it up already. */
static void give_up(struct lost *lost)
{
	const struct control_message m = lost->death;
	struct broker *b = lost->broker;
	const struct peer_name peer = { m.slot, m.incarnation };

	loop_timer_stop(b->loop, &lost->silence);
	router_drain(b->router);
	lost = find_lost(b, m.slot, m.incarnation);
	if (!lost)
		return;
	loop_timer_stop(b->loop, &lost->silence); /* it was heard of */
	list_remove(&lost->mates);
	free(lost);
	router_forget(b->router, peer);
	if (dispatch_has_joined(b, peer))
		b->joined -= peer.slot != SACRIFICE_SLOT;
	const struct engine_death death = death_from(&m);

	engine_worker_lost(broker_engine(b), m.slot, m.incarnation, &death);
}

static void on_silence(struct loop_timer *t)
{
	give_up(t->arg);
}

static void listen_on(struct lost *lost)
{
	struct loop *l = lost->broker->loop;

	if (loop_timer_set(l, &lost->silence, time_add(loop_now(l), LOST_SILENCE)) < 0)
		give_up(lost);
}

void lost_hear(struct broker *b, struct peer_name worker)
{
	struct lost *lost = find_lost(b, worker.slot, worker.incarnation);

	if (lost)
		listen_on(lost);
}

void lost_begin(struct broker *b, const struct control_message *m)
{
	const struct engine_death death = death_from(m);
	struct lost *lost;

	/* It died before this broker was, or before it knows who held what; nobody is heard before that. */
	if (b->recovery || engine_worker_incarnation(b->engine, m->slot, NULL) != m->incarnation) {
		if (engine_worker_was_lost(b->engine, m->slot, m->incarnation, &death) < 0)
			log_error("no memory for the death of worker %u", m->slot);
		engine_worker_lost(broker_engine(b), m->slot, m->incarnation, &death);
		return;
	}
	lost = calloc(1, sizeof(*lost));
	if (!lost)
		abort();
	lost->broker = b;
	lost->death = *m;
	loop_timer_init(&lost->silence, on_silence, lost);
	list_push_back(&b->lost, &lost->mates);
	/* Nothing more for it: what it was sent and did not begin comes back with the rest. */
	if (dispatch_has_joined(b, (struct peer_name){ m->slot, m->incarnation }))
		engine_worker_drains(broker_engine(b), m->slot);
	listen_on(lost);
}

void lost_replaced(struct broker *b, uint32_t slot, uint64_t incarnation)
{
	struct lost *lost;

	while ((lost = find_lost(b, slot, 0)))
		give_up(lost);
	int error = engine_worker_started(broker_engine(b), slot, incarnation);

	if (error < 0)
		log_error("worker %u can't be taken on: %s", slot, strerror(-error));
}
