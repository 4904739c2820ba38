/*
 * epoch.h — the number of the broker's starts, kept in the state directory: the high half of every attempt's token.
 */
#pragma once
#include "compiler.h"
#include <stdint.h>

/* Read, raise by one, and sync before returning: no two brokers of one state directory ever share an epoch. -errno. */
int epoch_next(const char *state_dir, uint32_t *ret_epoch) GA_MUST_CHECK;
