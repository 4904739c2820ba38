/*
 * peer_id.h — how a worker's name travels as its ZeroMQ routing id; inside src/wire alone. Pure.
 *
 * A mark that isn't zero (ids that start with zero are ZeroMQ's own), slot, incarnation, little-endian: 13 bytes.
 */
#pragma once
#include "worker_link.h"
#include <endian.h>

#define PEER_ID_MARK 1u

struct GA_PACKED peer_id {
	uint8_t mark;
	uint32_t slot;
	uint64_t incarnation;
};
_Static_assert(sizeof(struct peer_id) == 13, "the size is on the wire");

static inline struct peer_id peer_id_of(struct peer_name name)
{
	return (struct peer_id){ PEER_ID_MARK, htole32(name.slot), htole64(name.incarnation) };
}

static inline struct peer_name peer_id_name(const struct peer_id *id)
{
	return (struct peer_name){ le32toh(id->slot), le64toh(id->incarnation) };
}
