/*
 * stream_race.h — TCP connections to the addresses of one host, whichever answers first (RFC 8305).
 */
#pragma once
#include "dns.h"

/* The connected descriptor, the caller's; or the last address's error, -ETIMEDOUT, -ECANCELED. */
int race_connect(const struct dns_answer *answer, uint16_t port, int64_t deadline) GA_ASYNC GA_MUST_CHECK;
