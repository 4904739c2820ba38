/*
 * door.h — the listening socket: accept, look at the first byte, hand the connection to the protocol that it speaks.
 *
 * `{`: NDJSON. The records' magic: binary records. Anything else: HTTP. A connection that says nothing for 60 s is closed.
 */
#pragma once
#include "broker.h"

int door_new(struct broker *b, const int *listeners, unsigned count,
	     struct door **ret_door) GA_MUST_CHECK;
void door_shut(struct door *d); /* accept no more; those who are in stay */
void door_free(struct door *d);
