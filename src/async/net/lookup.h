/*
 * lookup.h — names to addresses for tasks, by the loop's resolver.
 */
#pragma once
#include "dns.h"

/* What a host (name or address) stands for, a reference of the caller's, with one address at least. Errors as of
 * ga_lookup(), whose sentence is kept too. */
int lookup_host(const char *host, int64_t deadline,
		struct dns_answer **ret_answer) GA_ASYNC GA_MUST_CHECK;
