/*
 * http_request.c — a request from the caller's hands to its end.
 */
#include "debugging.h"
#include "http_client.h"
#include "text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DEFAULT_MAX_BODY (1024u * 1024)
#define DEFAULT_FOLLOW 5
#define METHOD_MAX 32
#define HEADERS_MAX 1024

static void request_cancel(struct ga_future *f);
static void request_release(struct ga_future *f);
static void request_describe(const struct ga_future *f, char *text, size_t size);
const struct future_ops http_request_ops = {
	.kind = "http", .cancel = request_cancel, .free = request_release, .describe = request_describe
};

static int request_copy(struct http_request *r, const struct ga_http_request *from);
static const char *request_check(const struct ga_http_request *from);
static void request_move(struct http_request *r, enum request_state state);
static void request_hop(struct http_request *r);
static void request_look_up(struct http_request *r);
static void on_names(struct dns_query *q, struct dns_answer *answer);
static void request_vet(struct http_request *r, struct dns_answer *answer);
static void request_run(struct http_request *r, struct curl_slist *resolve_take);
static void request_redirect(struct http_request *r, const char *location);
static void request_forget_note(struct http_request *r);
static enum ga_http_error error_of(CURLcode code);
static void on_deadline(struct loop_timer *t);
static void request_end(struct http_request *r);
static void request_free(struct http_request *r);

ga_future *ga_http_get(const char *url)
{
	const struct ga_http_request request = { .url = url, .follow = DEFAULT_FOLLOW };

	return ga_http_request(&request);
}

ga_future *ga_http_request(const struct ga_http_request *request)
{
	ga_http_client *c = loop_current() ? request->client ? request->client : client_default()
					   : NULL;
	struct http_request *r = c ? calloc(1, sizeof(*r)) : NULL;
	const char *wrong;

	if (!r)
		return NULL;
	future_init(&r->future, &http_request_ops);
	r->state = REQUEST_ENDED;
	list_init(&r->node);
	list_init(&r->all);
	list_init(&r->query.node);
	loop_timer_init(&r->deadline, on_deadline, r);
	if (request_copy(r, request) < 0) {
		if (debug_on())
			debug_forget(&r->future);
		request_free(r);
		return NULL;
	}
	wrong = request_check(request);
	if (wrong || c->closed) {
		if (wrong)
			request_note(r, request->url ? GA_HTTP_BAD_REQUEST : GA_HTTP_BAD_URL, "%s",
				     wrong);
		else
			request_note(r, GA_HTTP_CANCELLED, "the client is closed");
		future_resolve(&r->future, http_error_errno(r->error), http_request_body(r));
		return &r->future;
	}
	if (request->deadline > 0 && loop_timer_set(c->loop, &r->deadline, request->deadline) < 0) {
		if (debug_on())
			debug_forget(&r->future);
		request_free(r);
		return NULL;
	}
	r->client = c;
	c->refs++;
	list_push_back(&c->requests, &r->all);
	request_move(r, REQUEST_QUEUED);
	return &r->future;
}

static int copy_text(const char *from, char **ret_copy)
{
	if (!from)
		return 0;
	*ret_copy = strdup(from);
	return *ret_copy ? 0 : -ENOMEM;
}

static int copy_headers(struct http_request *r, const struct ga_http_header *from, size_t count)
{
	size_t size = count * sizeof(*from);
	char *at;

	if (count == 0 || count > HEADERS_MAX)
		return 0;
	for (size_t i = 0; i < count; i++)
		if (from[i].name && from[i].value)
			size += strlen(from[i].name) + strlen(from[i].value) + 2;
	r->headers = malloc(size);
	if (!r->headers)
		return -ENOMEM;
	at = (char *)(r->headers + count);
	for (size_t i = 0; i < count; i++) {
		if (!from[i].name || !from[i].value)
			continue;
		r->headers[r->header_count].name = at;
		at = stpcpy(at, from[i].name) + 1;
		r->headers[r->header_count++].value = at;
		at = stpcpy(at, from[i].value) + 1;
	}
	return 0;
}

static int request_copy(struct http_request *r, const struct ga_http_request *from)
{
	int e = copy_text(from->url ? from->url : "", &r->url);

	if (e == 0 && from->method && strcmp(from->method, "GET") != 0)
		e = copy_text(from->method, &r->method);
	if (e == 0 && from->method && from->body && !r->method)
		e = copy_text("GET", &r->method); /* a GET with a body, if that is what they want */
	if (e == 0)
		e = copy_text(from->user_agent, &r->user_agent);
	if (e == 0)
		e = copy_headers(r, from->headers, from->header_count);
	if (e == 0 && from->body) {
		r->body = malloc(from->body_bytes + 1);
		if (!r->body)
			return -ENOMEM;
		memcpy(r->body, from->body, from->body_bytes);
		r->body[from->body_bytes] = '\0';
		r->body_bytes = from->body_bytes;
		r->has_body = true;
	}
	r->connect_timeout_ns = from->connect_timeout_ns;
	r->max_body = from->max_body ? from->max_body : DEFAULT_MAX_BODY;
	r->follow = from->follow;
	r->insecure = from->insecure;
	r->as_sent = from->as_sent;
	r->http1 = from->http1;
	r->discard_body = from->discard_body;
	return e;
}

/* A token of RFC 9110, section 5.6.2. */
static bool is_token(const char *text)
{
	static const char letters[] =
		"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

	return *text && text[strspn(text, letters)] == '\0';
}

static const char *header_check(const struct ga_http_header *h)
{
	if (!h->name || !h->value || !is_token(h->name))
		return "a header's name is empty or holds a character that names don't";
	for (const char *at = h->value; *at; at++)
		if (((unsigned char)*at < ' ' && *at != '\t') || *at == 0x7f)
			return "a header's value holds a line break or a control character";
	if (!strcasecmp(h->name, "Transfer-Encoding"))
		return "Transfer-Encoding is set by the library";
	return NULL;
}

/* What is wrong with a request, or NULL. What comes after a line break would be a header or a request of its own. */
static const char *request_check(const struct ga_http_request *from)
{
	const char *wrong = NULL;

	if (!from->url)
		return "there is no URL";
	if (from->method && (!is_token(from->method) || strlen(from->method) > METHOD_MAX))
		return "the method holds a character that methods don't, or is too long";
	if (from->method && !strcmp(from->method, "CONNECT"))
		return "CONNECT is for proxies";
	if (from->method && !strcmp(from->method, "HEAD") && from->body)
		return "HEAD takes no body";
	if (from->user_agent && from->user_agent[strcspn(from->user_agent, "\r\n")])
		return "the user agent holds a line break";
	if (from->header_count > HEADERS_MAX)
		return "there are too many headers";
	for (size_t i = 0; i < from->header_count && !wrong; i++)
		wrong = header_check(&from->headers[i]);
	return wrong;
}

/* The only writer of a request's state. */
static void request_move(struct http_request *r, enum request_state state)
{
	ga_http_client *c = r->client;

	c->active -= r->state == REQUEST_RESOLVING || r->state == REQUEST_RUNNING;
	c->active += state == REQUEST_RESOLVING || state == REQUEST_RUNNING;
	r->state = state;
	list_remove(&r->node);
	if (state == REQUEST_QUEUED)
		list_push_back(&c->queue, &r->node);
	if (!list_empty(&c->queue) && c->active < c->max_active)
		loop_call_soon(c->loop, &c->work);
}

void request_start(struct http_request *r)
{
	request_hop(r);
}

/* In what follows, a request that was ended may be gone: each request_fail() is the last to touch it. */

/* Find out where the URL leads, and go there if that is allowed. */
static void request_hop(struct http_request *r)
{
	struct http_target before = r->target;
	char error[HTTP_TEXT_SIZE], shown[HTTP_TEXT_SIZE], *normal = NULL;
	int e = http_url_parse(r->url, &r->target, &normal, error, sizeof(error));

	request_move(r, REQUEST_RESOLVING);
	if (e == -EINVAL) {
		text_escape(r->url, strlen(r->url), shown, sizeof(shown));
		request_fail(r, GA_HTTP_BAD_URL, "%s%s%s%s", r->redirects ? "redirect to " : "",
			     r->redirects ? shown : "", r->redirects ? ": " : "", error);
		return;
	}
	if (normal) {
		free(r->url);
		r->url = normal;
	}
	if (e < 0 || client_open(r->client) < 0) {
		request_fail(r, GA_HTTP_NO_MEMORY, "no memory");
		return;
	}
	if (r->redirects > 0 && !http_target_same_origin(&before, &r->target))
		r->crossed = true;
	if (r->target.literal)
		request_vet(r, NULL);
	else
		request_look_up(r);
}

static void request_look_up(struct http_request *r)
{
	struct dns_answer *answer;
	int known = dns_lookup(r->client->dns, r->target.host, &r->query, on_names, &answer);

	if (known > 0) {
		request_vet(r, answer);
		dns_answer_unref(answer);
	} else if (known == -EINVAL) {
		request_fail(r, GA_HTTP_BAD_URL, "the host isn't a name that can be looked up");
	} else if (known < 0) {
		request_fail(r, GA_HTTP_NO_MEMORY, "no memory");
	}
}

static void on_names(struct dns_query *q, struct dns_answer *answer)
{
	request_vet(container_of(q, struct http_request, query), answer);
}

/* One refused address among a name's addresses is enough: who answers so is up to something. NULL: the host is one. */
static void request_vet(struct http_request *r, struct dns_answer *answer)
{
	const struct address *addresses = answer ? answer->addresses : &r->target.address;
	struct curl_slist *resolve = NULL;
	char text[HTTP_TEXT_SIZE];

	if (answer && answer->error) {
		request_fail(r, GA_HTTP_RESOLVE_FAILED, "could not resolve %s: %s", r->target.host,
			     answer->error);
		return;
	}
	for (unsigned i = 0; i < (answer ? answer->count : 1); i++) {
		if (address_policy_check(r->client->policy, r->target.host, &addresses[i],
					 r->target.port) == 0)
			continue;
		request_fail(r, GA_HTTP_ADDRESS_REFUSED, "%s",
			     address_refusal(r->target.host, &addresses[i], r->target.port, text,
					     sizeof(text)));
		return;
	}
	if (answer && http_hosts_tell(&r->client->hosts, r->target.host, r->target.port, answer,
				      r->told_again, &resolve) < 0) {
		request_fail(r, GA_HTTP_NO_MEMORY, "no memory");
		return;
	}
	request_run(r, resolve);
}

static void request_run(struct http_request *r, struct curl_slist *resolve_take)
{
	int e;

	request_move(r, REQUEST_RUNNING);
	e = transfer_start(r, resolve_take);
	if (e == -EINVAL)
		request_fail(r, GA_HTTP_BAD_REQUEST, "libcurl refuses the request");
	else if (e < 0)
		request_fail(r, GA_HTTP_NO_MEMORY, "no memory");
}

static bool is_redirect(int status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

void request_transfer_done(struct http_request *r, CURLcode code)
{
	struct http_transfer *t = r->transfer;
	char detail[CURL_ERROR_SIZE], *location = NULL;
	bool missed = t->missed, forgotten = false;
	long status = 0;

	(void)curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status > 0)
		r->status = (int)status;
	if (code == CURLE_OK && r->follow > 0 && is_redirect(r->status))
		(void)curl_easy_getinfo(t->easy, CURLINFO_REDIRECT_URL, &location);
	if (location) {
		location = strdup(location);
		forgotten = !location;
	}
	snprintf(detail, sizeof(detail), "%s", t->error[0] ? t->error : curl_easy_strerror(code));
	transfer_end(r);
	if (code == CURLE_OK)
		request_forget_note(r);
	if (list_linked(&r->node)) { /* it was cancelled meanwhile */
		request_stop(r);
	} else if (location) {
		request_redirect(r, location);
	} else if (forgotten) {
		request_fail(r, GA_HTTP_NO_MEMORY, "no memory");
	} else if (code == CURLE_COULDNT_RESOLVE_HOST && missed && !r->told_again) {
		/* Another request was to tell libcurl the addresses, and has not got round to it. */
		r->told_again = true;
		request_hop(r);
	} else {
		/* libcurl's word for a header line beyond its limit, too. */
		if (code == CURLE_OUT_OF_MEMORY && status > 0 && r->content_seen == 0)
			request_note(r, GA_HTTP_PROTOCOL, "a header of the answer exceeds 100 KiB");
		if (code != CURLE_OK)
			request_note(r, error_of(code), "%s", detail);
		request_end(r);
	}
	free(location);
}

/* RFC 9110, section 15.4: what a browser does with the method and body. */
static void redirect_method(struct http_request *r)
{
	bool post = r->method ? !strcmp(r->method, "POST") : r->has_body;
	bool head = r->method && !strcmp(r->method, "HEAD");

	if (head || r->status == 307 || r->status == 308 || (r->status != 303 && !post))
		return;
	free(r->method);
	free(r->body);
	r->method = r->body = NULL;
	r->body_bytes = 0;
	r->has_body = false;
}

static void request_redirect(struct http_request *r, const char *location)
{
	char shown[HTTP_TEXT_SIZE], *url;

	if (r->redirects >= r->follow) {
		text_escape(location, strlen(location), shown, sizeof(shown));
		request_fail(r, GA_HTTP_TOO_MANY_REDIRECTS,
			     "more than %u redirects, the last one to %s", r->follow, shown);
		return;
	}
	url = strdup(location);
	if (!url) {
		request_fail(r, GA_HTTP_NO_MEMORY, "no memory");
		return;
	}
	free(r->url);
	r->url = url;
	r->redirects++;
	r->told_again = false;
	redirect_method(r);
	buf_clear(&r->head);
	buf_clear(&r->content);
	r->content_seen = 0;
	request_hop(r);
}

static enum ga_http_error error_of(CURLcode code)
{
	switch (code) {
	case CURLE_OK:
		return GA_HTTP_OK;
	case CURLE_URL_MALFORMAT:
		return GA_HTTP_BAD_URL;
	case CURLE_COULDNT_RESOLVE_HOST:
		return GA_HTTP_RESOLVE_FAILED;
	case CURLE_COULDNT_CONNECT:
	case CURLE_INTERFACE_FAILED:
		return GA_HTTP_CONNECT_FAILED;
	case CURLE_OPERATION_TIMEDOUT:
		return GA_HTTP_TIMEOUT;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_ENGINE_INITFAILED:
		return GA_HTTP_TLS_FAILED;
	case CURLE_GOT_NOTHING:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_PARTIAL_FILE:
		return GA_HTTP_CONNECTION_LOST;
	case CURLE_OUT_OF_MEMORY:
		return GA_HTTP_NO_MEMORY;
	default:
		return GA_HTTP_PROTOCOL;
	}
}

/* The exchange succeeded in spite of it, by another address. */
static void request_forget_note(struct http_request *r)
{
	r->error = GA_HTTP_OK;
	free(r->text);
	r->text = NULL;
}

void request_note(struct http_request *r, enum ga_http_error error, const char *format, ...)
{
	va_list values;

	if (r->error != GA_HTTP_OK)
		return;
	r->error = error;
	va_start(values, format);
	if (vasprintf(&r->text, format, values) < 0)
		r->text = NULL;
	va_end(values);
}

void request_fail(struct http_request *r, enum ga_http_error error, const char *format, ...)
{
	char text[HTTP_TEXT_SIZE];
	va_list values;

	va_start(values, format);
	vsnprintf(text, sizeof(text), format, values);
	va_end(values);
	request_note(r, error, "%s", text);
	request_end(r);
}

static void on_deadline(struct loop_timer *t)
{
	static const char *const doing[] = {
		[REQUEST_QUEUED] = "waiting for other requests to end",
		[REQUEST_RESOLVING] = "resolving the host's name",
		[REQUEST_RUNNING] = "connecting or waiting for the answer",
	};
	struct http_request *r = t->arg;

	request_fail(r, GA_HTTP_TIMEOUT, "timed out while %s", doing[r->state]);
}

/* On any stack: what libcurl has is put off. */
static void request_cancel(struct ga_future *f)
{
	struct http_request *r = container_of(f, struct http_request, future);

	if (r->state != REQUEST_RUNNING) {
		request_fail(r, GA_HTTP_CANCELLED, "cancelled");
		return;
	}
	if (!list_linked(&r->node))
		list_push_back(&r->client->stopping, &r->node);
	loop_call_soon(r->client->loop, &r->client->work);
}

void request_stop(struct http_request *r)
{
	request_fail(r, GA_HTTP_CANCELLED, "cancelled");
}

/* The last handle is gone. */
static void request_release(struct ga_future *f)
{
	struct http_request *r = container_of(f, struct http_request, future);

	if (r->state == REQUEST_ENDED) {
		request_free(r);
		return;
	}
	r->orphan = true;
	request_cancel(f);
}

static void request_describe(const struct ga_future *f, char *text, size_t size)
{
	const struct http_request *r = container_of(f, const struct http_request, future);

	snprintf(text, size, "%.*s", (int)size - 1, r->target.host);
}

/* On the loop's stack, if libcurl has it. */
static void request_end(struct http_request *r)
{
	ga_http_client *c = r->client;
	int result = r->error == GA_HTTP_OK ? r->status : http_error_errno(r->error);

	if (c) {
		transfer_end(r);
		dns_query_stop(&r->query);
		loop_timer_stop(c->loop, &r->deadline);
		request_move(r, REQUEST_ENDED);
		list_remove(&r->all);
		r->client = NULL;
		client_unref(c);
	}
	if (r->orphan)
		request_free(r);
	else
		future_resolve(&r->future, result, http_request_body(r));
}

static void request_free(struct http_request *r)
{
	free(r->url);
	free(r->method);
	free(r->user_agent);
	free(r->headers);
	free(r->body);
	free(r->text);
	buf_done(&r->head);
	buf_done(&r->content);
	free(r);
}
