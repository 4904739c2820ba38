/*
 * dispatch.h — between the engine and the workers: decisions out, results in.
 */
#pragma once
#include "broker.h"

int dispatch_open(struct broker *b) GA_MUST_CHECK; /* binds the workers' socket */
/* Carry out what the engine has decided; at the end of each turn. */
void dispatch_actions(struct broker *b);
/* Send an attempt to its worker; `inputs` are earlier results that its arguments refer to, or empty. */
void dispatch_job(struct broker *b, const struct job *job, struct span args, struct span inputs);
/* Send a record to the worker in a slot; where that can't be, the worker starts anew. */
void dispatch_tell(struct broker *b, uint32_t slot, const struct record *r);
bool dispatch_has_joined(struct broker *b, struct peer_name worker); /* that incarnation has registered */
void dispatch_drain(struct broker *b); /* tell all workers to finish */
