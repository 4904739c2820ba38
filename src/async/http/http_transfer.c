/*
 * http_transfer.c — one exchange with a server on a libcurl easy handle.
 *
 * Setting an option costs time, so a handle is set up once and remembers what differs from then on: a plain GET sets its
 * URL and nothing else.
 */
#include "clock.h"
#include "http_client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DEFAULT_CONNECT_TIMEOUT_MS 30000
#define RESERVE_MAX (1024u * 1024) /* of what Content-Length claims */

static struct http_transfer *transfer_take(ga_http_client *c);
static CURLcode set_up(struct http_transfer *t, ga_http_client *c);
static CURLcode set_differing(struct http_transfer *t, const struct http_request *r);
static CURLcode set_method(struct http_transfer *t, const struct http_request *r);
static CURLcode set_headers(struct http_transfer *t, const struct http_request *r);
static void transfer_give(ga_http_client *c, struct http_transfer *t);
static size_t on_head(char *data, size_t size, size_t count, void *arg);
static size_t on_body(char *data, size_t size, size_t count, void *arg);
static int on_resolver_start(void *state, void *reserved, void *arg);
static curl_socket_t on_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address);
static bool sends_body(const struct http_request *r);

/* The first failure stands: `code = SET(code, easy, OPTION, value)` in a row needs no branches. */
#define SET(code, easy, option, value)                                                             \
	((code) == CURLE_OK ? curl_easy_setopt((easy), (option), (value)) : (code))

int transfer_start(struct http_request *r, struct curl_slist *resolve_take)
{
	ga_http_client *c = r->client;
	struct http_transfer *t = transfer_take(c);
	CURLcode code;

	if (!t) {
		curl_slist_free_all(resolve_take);
		return -ENOMEM;
	}
	t->request = r;
	t->resolve = resolve_take;
	r->transfer = t;
	t->missed = false;
	t->error[0] = '\0';
	code = curl_easy_setopt(t->easy, CURLOPT_URL, r->url);
	if (code == CURLE_OK)
		code = set_differing(t, r);
	if (code == CURLE_OK && (!t->plain_get || r->method || r->has_body))
		code = set_method(t, r);
	if (code == CURLE_OK && (r->header_count > 0 || sends_body(r)))
		code = set_headers(t, r);
	if (code == CURLE_OK && t->resolve)
		code = curl_easy_setopt(t->easy, CURLOPT_RESOLVE, t->resolve);
	if (code != CURLE_OK || curl_multi_add_handle(c->multi, t->easy) != CURLM_OK) {
		r->transfer = NULL;
		transfer_give(c, t);
		return code == CURLE_OK || code == CURLE_OUT_OF_MEMORY ? -ENOMEM : -EINVAL;
	}
	return 0;
}

void transfer_end(struct http_request *r)
{
	struct http_transfer *t = r->transfer;

	if (!t)
		return;
	r->transfer = NULL;
	(void)curl_multi_remove_handle(r->client->multi, t->easy);
	transfer_give(r->client, t);
}

void transfer_free(struct http_transfer *t)
{
	if (!t)
		return;
	curl_easy_cleanup(t->easy);
	free(t);
}

static struct http_transfer *transfer_take(ga_http_client *c)
{
	struct list *spare = list_pop_front(&c->spare_transfers);
	struct http_transfer *t;

	if (spare)
		return LIST_ENTRY(spare, struct http_transfer, node);
	t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	list_init(&t->node);
	t->easy = curl_easy_init();
	if (!t->easy || set_up(t, c) != CURLE_OK) {
		transfer_free(t);
		return NULL;
	}
	return t;
}

/* The newest first: its memory is warm. */
static void transfer_give(ga_http_client *c, struct http_transfer *t)
{
	t->request = NULL;
	if (t->headers) {
		(void)curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, NULL);
		curl_slist_free_all(t->headers);
		t->headers = NULL;
	}
	if (t->resolve) {
		(void)curl_easy_setopt(t->easy, CURLOPT_RESOLVE, NULL);
		curl_slist_free_all(t->resolve);
		t->resolve = NULL;
	}
	list_push_front(&c->spare_transfers, &t->node);
}

static CURLcode set_up(struct http_transfer *t, ga_http_client *c)
{
	CURLcode code = CURLE_OK;

	code = SET(code, t->easy, CURLOPT_PRIVATE, t);
	code = SET(code, t->easy, CURLOPT_ERRORBUFFER, t->error);
	code = SET(code, t->easy, CURLOPT_NOSIGNAL, 1L);
	code = SET(code, t->easy, CURLOPT_PROXY, "");
	code = SET(code, t->easy, CURLOPT_PROTOCOLS_STR, "http,https");
	code = SET(code, t->easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
	code = SET(code, t->easy, CURLOPT_DNS_CACHE_TIMEOUT, -1L);
	code = SET(code, t->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	code = SET(code, t->easy, CURLOPT_ACCEPT_ENCODING, "");
	code = SET(code, t->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)DEFAULT_CONNECT_TIMEOUT_MS);
	code = SET(code, t->easy, CURLOPT_USERAGENT, c->user_agent);
	if (c->ca_file)
		code = SET(code, t->easy, CURLOPT_CAINFO, c->ca_file);
	code = SET(code, t->easy, CURLOPT_HEADERFUNCTION, on_head);
	code = SET(code, t->easy, CURLOPT_HEADERDATA, t);
	code = SET(code, t->easy, CURLOPT_WRITEFUNCTION, on_body);
	code = SET(code, t->easy, CURLOPT_WRITEDATA, t);
	code = SET(code, t->easy, CURLOPT_RESOLVER_START_FUNCTION, on_resolver_start);
	code = SET(code, t->easy, CURLOPT_RESOLVER_START_DATA, t);
	code = SET(code, t->easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
	code = SET(code, t->easy, CURLOPT_OPENSOCKETDATA, t);
	/* A connection outlives the handle that opened it, so closing is the client's. */
	code = SET(code, t->easy, CURLOPT_CLOSESOCKETFUNCTION, client_close_socket);
	code = SET(code, t->easy, CURLOPT_CLOSESOCKETDATA, c);
	t->plain_get = true;
	t->connect_timeout_ms = DEFAULT_CONNECT_TIMEOUT_MS;
	return code;
}

static CURLcode set_differing(struct http_transfer *t, const struct http_request *r)
{
	int64_t connect_ms = DEFAULT_CONNECT_TIMEOUT_MS;
	bool http2 = r->target.https && !r->http1;
	CURLcode code = CURLE_OK;

	if (t->insecure != r->insecure) {
		code = SET(code, t->easy, CURLOPT_SSL_VERIFYPEER, r->insecure ? 0L : 1L);
		code = SET(code, t->easy, CURLOPT_SSL_VERIFYHOST, r->insecure ? 0L : 2L);
		t->insecure = r->insecure;
	}
	if (t->as_sent != r->as_sent) {
		code = SET(code, t->easy, CURLOPT_ACCEPT_ENCODING, r->as_sent ? NULL : "");
		t->as_sent = r->as_sent;
	}
	if (t->http2 != http2) {
		code = SET(code, t->easy, CURLOPT_HTTP_VERSION,
			   (long)(http2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
		/* Many requests to one host share a connection if it can do that, rather than open one each. */
		code = SET(code, t->easy, CURLOPT_PIPEWAIT, http2 ? 1L : 0L);
		t->http2 = http2;
	}
	if (r->connect_timeout_ns > 0) /* never 0, which is libcurl's own default */
		connect_ms = MAX(MIN(r->connect_timeout_ns / NSEC_PER_MSEC, (int64_t)INT32_MAX),
				 INT64_C(1));
	if (t->connect_timeout_ms != connect_ms) {
		code = SET(code, t->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);
		t->connect_timeout_ms = connect_ms;
	}
	if (t->own_user_agent || r->user_agent) {
		code = SET(code, t->easy, CURLOPT_USERAGENT,
			   r->user_agent ? r->user_agent : r->client->user_agent);
		t->own_user_agent = r->user_agent != NULL;
	}
	return code;
}

/* Methods that carry a body by their nature send an empty one, so that servers don't ask for a length. */
static bool sends_body(const struct http_request *r)
{
	return r->has_body || (r->method && (!strcmp(r->method, "POST") || !strcmp(r->method, "PUT") ||
					     !strcmp(r->method, "PATCH")));
}

static CURLcode set_method(struct http_transfer *t, const struct http_request *r)
{
	const char *method = r->method ? r->method : r->has_body ? "POST" : "GET", *custom = method;
	CURLcode code = curl_easy_setopt(t->easy, CURLOPT_HTTPGET, 1L);

	t->plain_get = false;
	if (sends_body(r)) {
		code = SET(code, t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body_bytes);
		code = SET(code, t->easy, CURLOPT_POSTFIELDS, r->body ? r->body : "");
		if (strcmp(method, "POST") == 0)
			custom = NULL;
	} else if (strcmp(method, "GET") == 0) {
		custom = NULL;
		t->plain_get = true;
	} else if (strcmp(method, "HEAD") == 0) {
		custom = NULL;
		code = SET(code, t->easy, CURLOPT_NOBODY, 1L);
	}
	return SET(code, t->easy, CURLOPT_CUSTOMREQUEST, custom);
}

static bool header_is_sent(const struct http_request *r, const char *name)
{
	if (r->crossed && (!strcasecmp(name, "Authorization") || !strcasecmp(name, "Cookie") ||
			   !strcasecmp(name, "Proxy-Authorization") || !strcasecmp(name, "Host")))
		return false;
	if (!strcasecmp(name, "Content-Length"))
		return false; /* libcurl counts */
	return sends_body(r) || r->redirects == 0 || strncasecmp(name, "Content-", 8) != 0;
}

static CURLcode add_header(struct http_transfer *t, const char *name, const char *value,
			   struct buf *line)
{
	struct curl_slist *list = NULL;

	buf_clear(line);
	/* libcurl's notation: "Name:" removes a header, "Name;" sends an empty one. */
	if (value && buf_printf(line, *value ? "%s: %s" : "%s;", name, value) == 0)
		list = curl_slist_append(t->headers, buf_data(line));
	else if (!value && buf_printf(line, "%s:", name) == 0)
		list = curl_slist_append(t->headers, buf_data(line));
	if (!list)
		return CURLE_OUT_OF_MEMORY;
	t->headers = list;
	return CURLE_OK;
}

static CURLcode set_headers(struct http_transfer *t, const struct http_request *r)
{
	bool typed = false, expects = false;
	struct buf line = BUF_INIT;
	CURLcode code = CURLE_OK;

	for (size_t i = 0; i < r->header_count && code == CURLE_OK; i++) {
		const struct ga_http_header *h = &r->headers[i];

		if (!header_is_sent(r, h->name))
			continue;
		typed |= !strcasecmp(h->name, "Content-Type");
		expects |= !strcasecmp(h->name, "Expect");
		code = add_header(t, h->name, h->value, &line);
	}
	/* What libcurl would add by itself: a wait of a second for leave to send, and the type of a form. */
	if (code == CURLE_OK && sends_body(r) && !expects)
		code = add_header(t, "Expect", NULL, &line);
	if (code == CURLE_OK && sends_body(r) && !typed)
		code = add_header(t, "Content-Type", NULL, &line);
	buf_done(&line);
	return SET(code, t->easy, CURLOPT_HTTPHEADER, t->headers);
}

/* A status line begins anew: what came before was an interim answer. */
static size_t on_head(char *data, size_t size, size_t count, void *arg)
{
	struct http_request *r = ((struct http_transfer *)arg)->request;
	size_t total = size * count, end = total, name;
	const char *colon = memchr(data, ':', total);

	if (total >= 5 && memcmp(data, "HTTP/", 5) == 0) {
		buf_clear(&r->head);
		return total;
	}
	if (buf_size(&r->head) + total > HTTP_HEAD_MAX) {
		request_note(r, GA_HTTP_PROTOCOL, "the answer's headers exceed %u KiB",
			     HTTP_HEAD_MAX / 1024);
		return CURL_WRITEFUNC_ERROR;
	}
	if (!colon || colon == data || *data == ' ' || *data == '\t')
		return total;
	name = (size_t)(colon - data);
	while (end > name + 1 && strchr("\r\n\t ", data[end - 1]))
		end--;
	for (colon++; colon < data + end && (*colon == ' ' || *colon == '\t');)
		colon++;
	if (buf_append(&r->head, data, name) < 0 || buf_append(&r->head, "", 1) < 0 ||
	    buf_append(&r->head, colon, (size_t)(data + end - colon)) < 0 ||
	    buf_append(&r->head, "", 1) < 0) {
		request_note(r, GA_HTTP_NO_MEMORY, "no memory");
		return CURL_WRITEFUNC_ERROR;
	}
	return total;
}

/* What Content-Length claims, as far as it is believed: one allocation then does. */
static size_t body_to_come(struct http_transfer *t, size_t at_least)
{
	size_t believed = MIN(t->request->max_body, (size_t)RESERVE_MAX);
	curl_off_t claimed = -1;

	(void)curl_easy_getinfo(t->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &claimed);
	if (claimed >= 0)
		believed = MIN(believed, (size_t)claimed);
	else
		believed = 0;
	return MAX(at_least, believed);
}

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
	struct http_transfer *t = arg;
	struct http_request *r = t->request;
	size_t total = size * count, room = r->max_body - r->content_seen, kept = MIN(total, room);

	if (!r->discard_body && kept > 0) {
		char *at = buf_reserve(&r->content,
				       (r->content_seen ? kept : body_to_come(t, kept)) + 1);

		if (!at) {
			request_note(r, GA_HTTP_NO_MEMORY, "no memory");
			return CURL_WRITEFUNC_ERROR;
		}
		memcpy(at, data, kept);
		at[kept] = '\0';
		buf_grew(&r->content, kept);
	}
	r->content_seen += kept;
	if (total > room) {
		request_note(r, GA_HTTP_BODY_TOO_LARGE, "the body exceeds %zu bytes", r->max_body);
		return CURL_WRITEFUNC_ERROR;
	}
	return total;
}

/* libcurl is about to look a name up, on a thread: it never may, because it was told the vetted addresses of all names. */
static int on_resolver_start(void *state GA_UNUSED, void *reserved GA_UNUSED, void *arg)
{
	struct http_transfer *t = arg;

	if (t->request->target.literal)
		return 0;
	t->missed = true;
	return 1;
}

/* The last word on the address policy: the address that is about to be connected to. */
static curl_socket_t on_open_socket(void *arg, curlsocktype purpose GA_UNUSED, struct curl_sockaddr *sa)
{
	struct http_request *r = ((struct http_transfer *)arg)->request;
	char text[HTTP_TEXT_SIZE];
	struct address address;
	curl_socket_t fd;
	uint16_t port;

	if (address_from_sockaddr(&sa->addr, &address, &port) < 0)
		return CURL_SOCKET_BAD;
	if (address_policy_check(r->client->policy, r->target.host, &address, port) < 0) {
		request_note(r, GA_HTTP_ADDRESS_REFUSED, "%s",
			     address_refusal(r->target.host, &address, port, text, sizeof(text)));
		return CURL_SOCKET_BAD;
	}
	fd = socket(sa->family, sa->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, sa->protocol);
	client_forget_socket(r->client, fd);
	return fd;
}
