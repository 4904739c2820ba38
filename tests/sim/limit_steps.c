/* Limits in the world: they are set, taken back, paused and resumed. */
#include "clock.h"
#include "steps.h"
#include <stdlib.h>

static struct limit some_limit(struct world *w)
{
	struct limit limit = {
		.concurrency = (uint32_t)world_below(w, 6),
		.max_pending = world_chance(w, 20) ? 1 + world_below(w, 30) : 0,
	};

	if (world_chance(w, 30)) {
		limit.rate = (uint32_t)(1 + world_below(w, 20));
		limit.per = (int64_t)(1 + world_below(w, 3)) * NSEC_PER_SEC;
		limit.burst = (uint32_t)world_below(w, 4);
	}
	return limit;
}

void step_limit(struct world *w)
{
	enum limit_kind kind = (enum limit_kind)world_below(w, 2);
	int name = (int)world_below(w, MODEL_GATES);
	struct span text = span_of(world_gates[kind][name]);
	struct model_gate *g = &w->m.gates[kind][name];
	struct limit limit = some_limit(w);
	int r;

	if (!w->limits || (kind == LIMIT_KEY && name <= MODEL_FREE_KEY))
		return;
	if (world_chance(w, 10)) {
		r = engine_set_limit(w->m.e, kind, SPAN(""), &limit);
		model_limit_default(&w->m, kind, &limit);
	} else if (g->paused || world_chance(w, 20)) {
		r = g->paused ? 0 : engine_pause(w->m.e, kind, text);
		if (g->paused)
			engine_resume(w->m.e, kind, text);
		g->paused = !g->paused;
	} else {
		bool own = world_chance(w, 50);

		r = engine_set_limit(w->m.e, kind, text, own ? &limit : NULL);
		model_limit(&w->m, kind, name, own ? &limit : NULL);
	}
	MODEL_EXPECT(&w->m, r == 0, "a limit can't be set: %d", r);
}

/* Whoever has that key is sure of its turns. */
void world_free_key(struct world *w)
{
	const struct limit none = { 0 };

	if (engine_set_limit(w->m.e, LIMIT_KEY, span_of(world_gates[LIMIT_KEY][MODEL_FREE_KEY]),
			     &none) < 0)
		abort();
	model_limit(&w->m, LIMIT_KEY, MODEL_FREE_KEY, &none);
}
