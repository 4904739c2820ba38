/*
 * http_response.c — reading what came of a request.
 */
#include "http_client.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

static const struct {
	const char *word;
	int error;
} ERRORS[] = {
	[GA_HTTP_OK] = { "ok", 0 },
	[GA_HTTP_BAD_URL] = { "bad_url", -EINVAL },
	[GA_HTTP_BAD_REQUEST] = { "bad_request", -EINVAL },
	[GA_HTTP_RESOLVE_FAILED] = { "resolve_failed", -EHOSTUNREACH },
	[GA_HTTP_ADDRESS_REFUSED] = { "address_refused", -EACCES },
	[GA_HTTP_CONNECT_FAILED] = { "connect_failed", -ECONNREFUSED },
	[GA_HTTP_TLS_FAILED] = { "tls_failed", -EKEYREJECTED },
	[GA_HTTP_TIMEOUT] = { "timeout", -ETIMEDOUT },
	[GA_HTTP_CONNECTION_LOST] = { "connection_lost", -ECONNRESET },
	[GA_HTTP_PROTOCOL] = { "protocol", -EPROTO },
	[GA_HTTP_BODY_TOO_LARGE] = { "body_too_large", -EFBIG },
	[GA_HTTP_TOO_MANY_REDIRECTS] = { "too_many_redirects", -ELOOP },
	[GA_HTTP_CANCELLED] = { "cancelled", -ECANCELED },
	[GA_HTTP_NO_MEMORY] = { "no_memory", -ENOMEM },
};

int http_error_errno(enum ga_http_error error)
{
	return ERRORS[error].error;
}

char *http_request_body(const struct http_request *r)
{
	static char none[1];

	return r->content.base ? buf_data(&r->content) : none;
}

/* The request behind a future, if it is one and over. */
static const struct http_request *resolved(const ga_future *future)
{
	if (!future || future->ops != &http_request_ops || future_pending(future))
		return NULL;
	return container_of(future, const struct http_request, future);
}

enum ga_http_error ga_http_error(const ga_future *future)
{
	const struct http_request *r = resolved(future);

	return r ? r->error : GA_HTTP_OK;
}

const char *ga_http_error_word(enum ga_http_error error)
{
	return (size_t)error < ARRAY_SIZE(ERRORS) ? ERRORS[error].word : "unknown";
}

const char *ga_http_error_text(const ga_future *future)
{
	const struct http_request *r = resolved(future);

	if (!r || r->error == GA_HTTP_OK)
		return "";
	return r->text ? r->text : strerror(-ERRORS[r->error].error);
}

int ga_http_status(const ga_future *future)
{
	const struct http_request *r = resolved(future);

	return r ? r->status : 0;
}

const char *ga_http_url(const ga_future *future)
{
	const struct http_request *r = resolved(future);

	return r ? r->url : NULL;
}

unsigned ga_http_redirects(const ga_future *future)
{
	const struct http_request *r = resolved(future);

	return r ? r->redirects : 0;
}

const char *ga_http_body(const ga_future *future, size_t *ret_bytes)
{
	const struct http_request *r = resolved(future);

	if (ret_bytes)
		*ret_bytes = r ? buf_size(&r->content) : 0;
	return r ? http_request_body(r) : NULL;
}

char *ga_http_body_take(ga_future *future, size_t *ret_bytes)
{
	struct http_request *r = (struct http_request *)(uintptr_t)resolved(future);
	char *body;

	if (!r || !r->content.base)
		return NULL;
	if (ret_bytes)
		*ret_bytes = buf_size(&r->content);
	body = r->content.base; /* nothing was ever consumed, so it starts there */
	r->content = (struct buf)BUF_INIT;
	r->future.value = http_request_body(r);
	return body;
}

const char *ga_http_header(const ga_future *future, const char *name)
{
	struct ga_http_header header;
	size_t cursor = 0;

	while (ga_http_header_next(future, &cursor, &header))
		if (strcasecmp(header.name, name) == 0)
			return header.value;
	return NULL;
}

bool ga_http_header_next(const ga_future *future, size_t *cursor, struct ga_http_header *ret_header)
{
	const struct http_request *r = resolved(future);
	const char *at;

	if (!r || *cursor >= buf_size(&r->head))
		return false;
	at = buf_data(&r->head) + *cursor;
	ret_header->name = at;
	ret_header->value = at + strlen(at) + 1;
	*cursor += strlen(at) + strlen(ret_header->value) + 2;
	return true;
}
