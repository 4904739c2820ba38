/*
 * lookup.c — getaddrinfo for tasks.
 */
#include "lookup.h"
#include "park_until.h"

#include <errno.h>
#include <gather/stream.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct lookup {
	struct park_until wait;
	struct dns_query query;
	struct dns_answer *answer;
};

static _Thread_local char last_error[384];

static struct dns_answer *answer_of(const struct address *address);
static int ask(const char *host, int64_t deadline, struct dns_answer **ret_answer);
static int tell(int error, const char *host, const char *reason);

const char *ga_lookup_error(void)
{
	return last_error;
}

int ga_lookup(const char *host, uint16_t port, int64_t deadline, struct ga_address **ret_addresses)
{
	struct ga_address *addresses;
	struct dns_answer *answer;
	int r = lookup_host(host, deadline, &answer);

	if (r < 0)
		return r;
	addresses = calloc(answer->count, sizeof(*addresses));
	for (unsigned i = 0; addresses && i < answer->count; i++) {
		const struct address *from = &answer->addresses[i];

		address_format(from, addresses[i].text);
		memcpy(addresses[i].bytes, from->bytes, sizeof(from->bytes));
		addresses[i].port = port;
		addresses[i].ipv6 = from->v6;
	}
	r = addresses ? (int)answer->count : tell(-ENOMEM, host, strerror(ENOMEM));
	dns_answer_unref(answer);
	if (addresses)
		*ret_addresses = addresses;
	return r;
}
_Static_assert(sizeof(((struct ga_address *)NULL)->text) == ADDRESS_TEXT_SIZE, "an address fits");

int lookup_host(const char *host, int64_t deadline, struct dns_answer **ret_answer)
{
	struct dns_answer *answer = NULL;
	struct address address;
	int r;

	if (address_parse(host, &address) == 0) {
		answer = answer_of(&address);
		r = answer ? 0 : -ENOMEM;
	} else {
		r = ask(host, deadline, &answer);
	}
	if (r >= 0 && answer->error)
		r = tell(-EHOSTUNREACH, host, answer->error);
	else if (r < 0)
		(void)tell(r, host, r == -EINVAL ? "not a host name" : strerror(-r));
	if (r < 0) {
		dns_answer_unref(answer);
		return r;
	}
	*ret_answer = answer;
	return 0;
}

static int tell(int error, const char *host, const char *reason)
{
	snprintf(last_error, sizeof(last_error), "no address for %.255s: %s", host, reason);
	return error;
}

static struct dns_answer *answer_of(const struct address *address)
{
	struct dns_answer *a = calloc(1, sizeof(*a) + sizeof(*address));

	if (!a)
		return NULL;
	a->refs = 1;
	a->count = 1;
	a->addresses[0] = *address;
	return a;
}

static void on_answer(struct dns_query *q, struct dns_answer *answer)
{
	struct lookup *l = container_of(q, struct lookup, query);

	l->answer = dns_answer_ref(answer);
	park_wake(&l->wait.park, 0);
}

static enum park_answer lookup_abort(struct park *p)
{
	dns_query_stop(&container_of(p, struct lookup, wait.park)->query);
	return PARK_ABORTED;
}

static int ask(const char *host, int64_t deadline, struct dns_answer **ret_answer)
{
	struct dns *d = dns_shared();
	struct lookup l = { 0 };
	int r;

	if (!d)
		return -ENOMEM;
	r = park_begin(&l.wait.park, lookup_abort);
	if (r < 0)
		return r;
	park_for(&l.wait.park, "lookup");
	r = dns_lookup(d, host, &l.query, on_answer, &l.answer);
	if (r == 0)
		r = park_wait_until(&l.wait, deadline);
	*ret_answer = l.answer;
	return r;
}
