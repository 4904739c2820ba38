/*
 * http_hosts.c — the memory of what CURLOPT_RESOLVE has said.
 */
#include "http_hosts.h"
#include "buf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOSTS_MAX 1024u
#define KEY_SIZE (DNS_NAME_MAX + 8)

struct host {
	struct list lru;
	struct dns_answer *told;
	uint64_t hash;
	char key[]; /* "host:port", as libcurl's list has it */
};

static bool host_matches(const void *item, const void *key)
{
	return strcmp(((const struct host *)item)->key, key) == 0;
}

static void host_free(struct host *host)
{
	list_remove(&host->lru);
	dns_answer_unref(host->told);
	free(host);
}

void http_hosts_init(struct http_hosts *h)
{
	map_init(&h->map, host_matches);
	list_init(&h->lru);
}

void http_hosts_done(struct http_hosts *h)
{
	struct host *host;

	while ((host = map_take_any(&h->map)))
		host_free(host);
	map_done(&h->map);
}

static struct host *host_new(struct http_hosts *h, uint64_t hash, const char *key)
{
	size_t size = strlen(key) + 1;
	struct host *host = calloc(1, sizeof(*host) + size);

	if (!host)
		return NULL;
	host->hash = hash;
	memcpy(host->key, key, size);
	list_init(&host->lru);
	if (map_put(&h->map, hash, host) < 0) {
		free(host);
		return NULL;
	}
	return host;
}

static bool same_addresses(const struct dns_answer *a, const struct dns_answer *b)
{
	if (a == b)
		return true;
	if (!a || a->count != b->count)
		return false;
	for (unsigned i = 0; i < a->count; i++)
		if (!address_equal(&a->addresses[i], &b->addresses[i]))
			return false;
	return true;
}

static int list_add(struct curl_slist **list, const char *text)
{
	struct curl_slist *grown = curl_slist_append(*list, text);

	if (!grown)
		return -ENOMEM;
	*list = grown;
	return 0;
}

/* "host:port:address,address" */
static int tell(const char *key, const struct dns_answer *answer, struct curl_slist **list)
{
	char text[ADDRESS_TEXT_SIZE];
	struct buf b = BUF_INIT;
	int r = buf_append_text(&b, key);

	for (unsigned i = 0; i < answer->count && r == 0; i++) {
		const struct address *a = &answer->addresses[i];

		r = buf_printf(&b, a->v6 ? "%c[%s]" : "%c%s", i == 0 ? ':' : ',',
			       address_format(a, text));
	}
	if (r == 0)
		r = buf_append(&b, "", 1);
	if (r == 0)
		r = list_add(list, buf_data(&b));
	buf_done(&b);
	return r;
}

static int forget_oldest(struct http_hosts *h, struct curl_slist **list)
{
	struct host *oldest = LIST_ENTRY(h->lru.next, struct host, lru);
	char text[KEY_SIZE + 1];

	snprintf(text, sizeof(text), "-%s", oldest->key);
	map_take(&h->map, oldest->hash, oldest->key);
	host_free(oldest);
	return list_add(list, text);
}

int http_hosts_tell(struct http_hosts *h, const char *host_name, uint16_t port,
		    struct dns_answer *answer, bool again, struct curl_slist **ret_list)
{
	struct curl_slist *list = NULL;
	char key[KEY_SIZE];
	struct host *host;
	uint64_t hash;
	int r = 0;

	snprintf(key, sizeof(key), "%s:%u", host_name, (unsigned)port);
	hash = hash_bytes(key, strlen(key));
	host = map_get(&h->map, hash, key);
	if (!host) {
		if (h->map.used >= HOSTS_MAX)
			r = forget_oldest(h, &list);
		host = host_new(h, hash, key);
	}
	if (host) {
		list_remove(&host->lru);
		list_push_back(&h->lru, &host->lru);
	}
	if (r == 0 && (!host || again || !same_addresses(host->told, answer)))
		r = tell(key, answer, &list);
	if (r < 0) {
		curl_slist_free_all(list);
		return r;
	}
	if (host && host->told != answer) {
		dns_answer_unref(host->told);
		host->told = dns_answer_ref(answer);
	}
	*ret_list = list;
	return 0;
}
