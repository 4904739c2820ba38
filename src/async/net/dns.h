/*
 * dns.h — host names to addresses on the loop, by c-ares, cached by their TTL.
 *
 * A resolver asks what resolv.conf and nsswitch.conf name, /etc/hosts included, both address families at once, each name
 * once however many wait for it, and at most LOOKUPS_MAX names at a time. Answers are kept for their TTL, but at least a
 * second and at most an hour (names known not to exist: a second); the least recently used leave when there are too many.
 * Belongs to one loop's thread. c-ares runs on the loop's stack only: dns_lookup() may be called on a task's.
 */
#pragma once
#include "address.h"
#include "list.h"
#include "loop.h"

#define DNS_NAME_MAX 253

struct dns;
struct dns_options {
	const char *servers; /* "127.0.0.1:5353", several by commas; NULL: as resolv.conf says */
	unsigned timeout_ms; /* of the first try; 0: 2,000 */
	unsigned tries;      /* 0: 3 */
};

/* What is known of a name. Immutable, counted; addresses in the order in which to try them (RFC 6724). */
struct dns_answer {
	unsigned refs;
	unsigned count;
	const char *error; /* NULL, or why there is none; a literal */
	int64_t expires;
	struct address addresses[];
};

struct dns_query;
typedef void (*dns_fn)(struct dns_query *q, struct dns_answer *answer); /* borrowed; on the loop's stack */
/* One who waits; embedded in and owned by the asker. */
struct dns_query {
	struct list node;
	dns_fn fn;
};

int dns_new(struct loop *l, const struct dns_options *options, struct dns **ret_dns) GA_MUST_CHECK;
void dns_free(struct dns *d); /* those who still wait are told that it closes; not from inside a dns_fn */
/* The loop's own resolver; made when first asked for, and closed with the loop. NULL: no memory, or it is closing. */
struct dns *dns_shared(void);
/* Make it with options of one's own. -EEXIST: it is made. */
int dns_share(const struct dns_options *options) GA_MUST_CHECK;

/* 1: *ret_answer is known, a reference of the caller's. 0: q->fn will be called, unless dns_query_stop() comes first.
 * -EINVAL: not a host name. -ENOMEM. */
int dns_lookup(struct dns *d, const char *name, struct dns_query *q, dns_fn fn,
	       struct dns_answer **ret_answer) GA_MUST_CHECK;
void dns_query_stop(struct dns_query *q); /* no-op for one that was answered */

static inline struct dns_answer *dns_answer_ref(struct dns_answer *a)
{
	if (a)
		a->refs++;
	return a;
}
void dns_answer_unref(struct dns_answer *a);
