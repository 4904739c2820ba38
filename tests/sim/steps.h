/*
 * steps.h — what may happen in the world, each by the dice.
 */
#pragma once
#include "world.h"

struct model_job world_some_job(struct world *w);
struct model_job *world_any_job(struct world *w, unsigned states); /* in one of these (bits); NULL: none */
void world_free_key(struct world *w);

void step_submit(struct world *w);
void step_child(struct world *w);
void step_cancel(struct world *w);
void step_retry(struct world *w);
void step_revive(struct world *w);
void step_purge(struct world *w);
void step_client_gone(struct world *w);
void step_cancel_tag(struct world *w);
void step_drop_args(struct world *w);
void step_limit(struct world *w);
void step_group(struct world *w);
void step_group_cancel(struct world *w);
