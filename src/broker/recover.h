/*
 * recover.h — the start of a broker: what the store kept is the engine's again.
 *
 * First the supervisor says which workers live, and which died before this broker did: only then is it known which of the
 * running jobs may still run. A RUNNING job of a live worker waits for that worker's HELLO; one of a worker that died
 * meanwhile is charged for it as if this broker had been there; all others are ready again.
 */
#pragma once
#include "broker.h"

/* Hear the supervisor, then load the store (if there is one). Blocks; the heartbeat goes on. */
int recover(struct broker *b) GA_MUST_CHECK;
void recover_known(struct broker *b); /* the supervisor has named all workers */
