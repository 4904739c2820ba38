/*
 * dns.c — the resolver: cache of names, queue of lookups, c-ares below.
 */
#include "dns.h"
#include "clock.h"
#include "dns_channel.h"
#include "keeper.h"
#include "map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_MAX 4096u
#define LOOKUPS_MAX                                                                                \
	64u /* each is two questions, and a burst of them must fit into a default socket buffer */
#define TTL_MIN NSEC_PER_SEC
#define TTL_MAX (3600 * NSEC_PER_SEC)

enum name_state { NAME_QUEUED, NAME_ASKED, NAME_KNOWN };

struct name {
	struct dns_request request; /* of the channel */
	struct list lru, queue;
	struct list queries;
	struct dns *dns;
	struct dns_answer *answer;
	uint64_t hash;
	enum name_state state;
	char text[];
};

struct dns {
	struct loop *loop;
	struct dns_channel *channel;
	struct dns_options options;
	struct loop_call pump;
	struct map names;
	struct list lru;   /* names, least recently used first */
	struct list queue; /* NAME_QUEUED */
	unsigned asked;    /* how many are NAME_ASKED */
};

struct shared {
	struct kept kept;
	struct dns *dns;
};

static _Thread_local struct shared shared;

static int name_normalise(const char *name, char *out);
static struct name *name_get(struct dns *d, const char *text);
static void name_move(struct name *n, enum name_state state);
static void name_free(struct name *n);
static void shrink(struct dns *d);
static void pump(struct loop_call *c);
static void on_reply(struct dns_request *r, const struct dns_reply *reply);
static void deliver(struct name *n, struct dns_answer *a);

static bool name_matches(const void *item, const void *key)
{
	return strcmp(((const struct name *)item)->text, key) == 0;
}

int dns_new(struct loop *l, const struct dns_options *options, struct dns **ret_dns)
{
	struct dns *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->loop = l;
	if (options)
		d->options = *options;
	map_init(&d->names, name_matches);
	list_init(&d->lru);
	list_init(&d->queue);
	loop_call_init(&d->pump, pump, d);
	*ret_dns = d;
	return 0;
}

void dns_free(struct dns *d)
{
	static _Thread_local struct dns_answer closing = { .refs = 1, .error = "the loop is closing" };
	struct name *n;

	if (!d)
		return;
	loop_call_stop(&d->pump);
	dns_channel_free(d->channel);
	while ((n = map_take_any(&d->names))) {
		deliver(n, &closing);
		name_free(n);
	}
	map_done(&d->names);
	free(d);
}

static void shared_close(struct kept *k)
{
	struct shared *s = container_of(k, struct shared, kept);

	dns_free(s->dns);
	s->dns = NULL;
}

struct dns *dns_shared(void)
{
	if (!shared.dns)
		(void)!dns_share(NULL); /* else NULL says so */
	return shared.dns;
}

int dns_share(const struct dns_options *options)
{
	int r;

	if (shared.dns)
		return -EEXIST;
	if (!loop_current())
		return -EPERM;
	r = dns_new(loop_current(), options, &shared.dns);
	if (r < 0)
		return r;
	r = keeper_add(&shared.kept, shared_close);
	if (r < 0)
		shared_close(&shared.kept);
	return r;
}

int dns_lookup(struct dns *d, const char *name, struct dns_query *q, dns_fn fn,
	       struct dns_answer **ret_answer)
{
	char text[DNS_NAME_MAX + 1];
	struct name *n;
	int r;

	list_init(&q->node);
	q->fn = fn;
	r = name_normalise(name, text);
	if (r < 0)
		return r;
	n = name_get(d, text);
	if (!n)
		return -ENOMEM;
	list_remove(&n->lru);
	list_push_back(&d->lru, &n->lru);
	if (n->state == NAME_KNOWN) {
		if (n->answer && loop_clock(d->loop) < n->answer->expires) {
			*ret_answer = dns_answer_ref(n->answer);
			return 1;
		}
		name_move(n, NAME_QUEUED);
	}
	list_push_back(&n->queries, &q->node);
	return 0;
}

void dns_query_stop(struct dns_query *q)
{
	if (q->node.next)
		list_remove(&q->node);
}

void dns_answer_unref(struct dns_answer *a)
{
	if (a && --a->refs == 0)
		free(a);
}

/* Lower case, without the root's dot; only what a host name or its A-label may hold, and `_`. */
static int name_normalise(const char *name, char *out)
{
	size_t size = strlen(name);

	if (size > 0 && name[size - 1] == '.')
		size--;
	if (size == 0 || size > DNS_NAME_MAX)
		return -EINVAL;
	for (size_t i = 0; i < size; i++) {
		char c = name[i];

		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		else if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' &&
			 c != '.' && c != '_')
			return -EINVAL;
		if (c == '.' && (i == 0 || name[i - 1] == '.'))
			return -EINVAL;
		out[i] = c;
	}
	out[size] = '\0';
	return 0;
}

static struct name *name_get(struct dns *d, const char *text)
{
	size_t size = strlen(text);
	uint64_t hash = hash_bytes(text, size);
	struct name *n = map_get(&d->names, hash, text);

	if (n)
		return n;
	n = calloc(1, sizeof(*n) + size + 1);
	if (!n)
		return NULL;
	n->dns = d;
	n->hash = hash;
	memcpy(n->text, text, size + 1);
	list_init(&n->lru);
	list_init(&n->queue);
	list_init(&n->queries);
	n->state = NAME_KNOWN; /* with no answer yet */
	if (map_put(&d->names, hash, n) < 0) {
		free(n);
		return NULL;
	}
	list_push_back(&d->lru, &n->lru);
	shrink(d);
	return n;
}

/* The only writer of a name's state. */
static void name_move(struct name *n, enum name_state state)
{
	struct dns *d = n->dns;

	list_remove(&n->queue);
	d->asked -= n->state == NAME_ASKED;
	d->asked += state == NAME_ASKED;
	n->state = state;
	if (state == NAME_QUEUED)
		list_push_back(&d->queue, &n->queue);
	if (!list_empty(&d->queue) && d->asked < LOOKUPS_MAX)
		loop_call_soon(d->loop, &d->pump);
}

static void name_free(struct name *n)
{
	list_remove(&n->lru);
	list_remove(&n->queue);
	dns_answer_unref(n->answer);
	free(n);
}

/* Names that are being asked stay; their number is bounded by who asks. The newest is in use by the caller. */
static void shrink(struct dns *d)
{
	if (d->names.used <= NAMES_MAX)
		return;
	LIST_FOREACH(node, &d->lru) {
		struct name *n = LIST_ENTRY(node, struct name, lru);

		if (n->state != NAME_KNOWN || node == d->lru.prev)
			continue;
		map_take(&d->names, n->hash, n->text);
		name_free(n);
		return;
	}
}

static void pump(struct loop_call *c)
{
	struct dns *d = c->arg;

	if (!d->channel || (d->asked == 0 && dns_channel_stale(d->channel))) {
		dns_channel_free(d->channel);
		if (dns_channel_new(d->loop, &d->options, &d->channel) < 0)
			d->channel = NULL;
	}
	while (d->asked < LOOKUPS_MAX && !list_empty(&d->queue)) {
		struct name *n = LIST_ENTRY(d->queue.next, struct name, queue);

		name_move(n, list_empty(&n->queries) ? NAME_KNOWN : NAME_ASKED);
		if (n->state != NAME_ASKED)
			continue; /* whoever asked has given up */
		if (d->channel)
			dns_channel_ask(d->channel, n->text, &n->request, on_reply);
		else
			on_reply(&n->request, &(struct dns_reply){ .error = "no memory" });
	}
}

static struct dns_answer *answer_new(struct dns *d, const struct dns_reply *reply)
{
	struct dns_answer *a = malloc(sizeof(*a) + reply->count * sizeof(a->addresses[0]));
	int64_t ttl = MIN(MAX((int64_t)reply->ttl_seconds * NSEC_PER_SEC, TTL_MIN), TTL_MAX);

	if (!a)
		return NULL;
	a->refs = 1;
	a->count = reply->count;
	a->error = reply->error;
	if (reply->error)
		ttl = reply->exists_not ? TTL_MIN : 0;
	a->expires = loop_clock(d->loop) + ttl;
	if (reply->count > 0)
		memcpy(a->addresses, reply->addresses, reply->count * sizeof(a->addresses[0]));
	return a;
}

/* Once told, those who waited may look up others, and the name may go. */
static void deliver(struct name *n, struct dns_answer *a)
{
	struct list queries, *node;

	list_init(&queries);
	list_splice_back(&queries, &n->queries);
	while ((node = list_pop_front(&queries))) {
		struct dns_query *q = LIST_ENTRY(node, struct dns_query, node);

		q->fn(q, a);
	}
}

static void on_reply(struct dns_request *r, const struct dns_reply *reply)
{
	static _Thread_local struct dns_answer no_memory = { .refs = 1, .error = "no memory" };
	struct name *n = container_of(r, struct name, request);
	struct dns_answer *a = answer_new(n->dns, reply);

	dns_answer_unref(n->answer);
	n->answer = dns_answer_ref(a);
	name_move(n, NAME_KNOWN);
	deliver(n, a ? a : &no_memory);
	dns_answer_unref(a);
}
