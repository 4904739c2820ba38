/*
 * sacrifice.h — the engine's wishes for the sacrificial worker, on their way to the supervisor.
 */
#pragma once
#include "broker.h"

void sacrifice_wish(struct broker *b, enum action_kind kind); /* ACTION_SACRIFICE or ACTION_DISMISS */
/* Say again what couldn't be said: the engine asks only once. With each pulse. */
void sacrifice_pulse(struct broker *b);
