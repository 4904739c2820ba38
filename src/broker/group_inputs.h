/*
 * group_inputs.h — earlier results for the jobs of chains whose arguments refer to them.
 *
 * They are looked up when the job is sent: in the engine, or in the store, which takes a moment.
 */
#pragma once
#include "broker.h"

/* Whether these arguments refer to anything; if so, the job is sent by and by, or its attempt ends as failed: with
 * `inputs_too_large` if all of it is more than a record holds, with `inputs_gone` if a result is no longer kept. */
bool inputs_take(struct broker *b, const struct job *job, struct span args);
/* Between the engine's turns: the attempts that end so. Whether there were any. */
bool inputs_settle(struct broker *b);
