/*
 * worker_pids.h — the process ids of the workers, as the supervisor tells them: shown, and nothing else.
 */
#pragma once
#include "broker.h"

void worker_pids_note(struct broker *b, uint32_t slot, uint64_t incarnation, int32_t pid);
/* 0: it hasn't been told, or is that of another incarnation. */
int32_t worker_pids_get(const struct broker *b, uint32_t slot, uint64_t incarnation);
