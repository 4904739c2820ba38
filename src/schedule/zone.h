/*
 * zone.h — a time zone of the IANA database: what local clocks say at an instant.
 *
 * Immutable once open, owned by who opened it; zones of one name share their data. Any thread. What the database says
 * is read when the first zone of a name is opened: an update of the system's tzdata counts from the next start on.
 */
#pragma once
#include "compiler.h"
#include <stdint.h>

struct zone;

/* By its name, e.g. "Europe/Berlin"; "UTC" is there on every machine. -EINVAL: not such a name (an abbreviation or
 * an offset says nothing of summer time); -ENOENT: the system's database has none of that name. */
int zone_open(const char *name, struct zone **ret_zone) GA_MUST_CHECK;
void zone_free(struct zone *z); /* NULL is a no-op */
const char *zone_name(const struct zone *z);
/* Local time - UTC, in seconds, at an instant of Unix time in seconds. */
int32_t zone_offset(const struct zone *z, int64_t at);
