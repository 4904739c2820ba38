/*
 * limits.h — what the machine grants a worker: descriptors, and CPUs for its threads.
 */
#pragma once
#include "conf.h"
#include "job_terms.h"

/* Raise the limit of descriptors to the hard one; the capacity as configured, `net` lowered to what they suffice for. */
void limits_apply(const struct conf *conf, uint32_t ret_capacity[CLASS_COUNT]);
/* How many net jobs that many descriptors suffice for. */
uint32_t limits_net(int64_t wanted, uint64_t descriptors);
/* A worker that is pinned to `cpu` (UINT32_MAX: it isn't) was so before exec; its I/O threads may go where its parent may. */
void limits_free_io_threads(uint32_t cpu);
