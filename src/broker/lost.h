/*
 * lost.h — workers that have died, and may still be heard.
 *
 * A dead worker's results may still be on their way through the kernel and ZeroMQ. It is given up once it has been silent
 * for 50 ms, or at once when its slot is filled again.
 */
#pragma once
#include "broker.h"

void lost_begin(struct broker *b, const struct control_message *m); /* the supervisor says that it died */
void lost_replaced(struct broker *b, uint32_t slot, uint64_t incarnation); /* another one has its slot */
void lost_hear(struct broker *b, struct peer_name worker); /* one said something; perhaps a lost one */
