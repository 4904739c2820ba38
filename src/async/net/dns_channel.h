/*
 * dns_channel.h — c-ares on the loop: its sockets as watches, its timeouts as a timer. Used by dns.c alone.
 *
 * All functions are called on the loop's stack.
 */
#pragma once
#include "dns.h"

#define DNS_ADDRESSES_MAX 32u

struct dns_channel;

struct dns_reply {
	const char *error; /* NULL, or why there is no address */
	bool exists_not;   /* the error is that the name has none, as its servers say */
	unsigned ttl_seconds;
	unsigned count;
	const struct address *addresses;
};

struct dns_request;
typedef void (*dns_reply_fn)(struct dns_request *r, const struct dns_reply *reply);
struct dns_request {
	struct dns_channel *channel;
	dns_reply_fn fn;
};

int dns_channel_new(struct loop *l, const struct dns_options *options,
		    struct dns_channel **ret_channel) GA_MUST_CHECK;
/* What is being asked is forgotten, without a reply. */
void dns_channel_free(struct dns_channel *c);
/* Old enough that resolv.conf should be read again. */
bool dns_channel_stale(const struct dns_channel *c);
/* fn is called once, perhaps before this returns. */
void dns_channel_ask(struct dns_channel *c, const char *name, struct dns_request *r, dns_reply_fn fn);
