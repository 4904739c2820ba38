/*
 * http.h — HTTP requests as futures: HTTP/1.1 and HTTP/2 (TLS) on libcurl, names resolved on the loop.
 *
 * A request is a future without a stack. It resolves with the status (200, 404, ...; the value: the body, NUL-terminated,
 * the future's own) or with a negative errno; ga_http_error() says which error and ga_http_error_text() why. A status of
 * 400 and above is no error here. Cancelling, or releasing the last handle, closes the connection. All functions belong
 * to the loop of the calling thread, none suspends, and any of them may be called from a task.
 *
 * A client holds the pool of open connections and the rule of which addresses may be called; each loop has one of its own
 * for requests that name none. The rule is applied to the address really connected to, at each connect, redirects
 * included. Proxies named by the environment are not used. Only http and https URLs are.
 */
#pragma once
#include <gather/async.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ga_http_client ga_http_client;

struct ga_http_client_options {
	/* What may be called besides public addresses: "10.0.0.0/8 localhost:8080 [::1]:80 db.internal", or "*" for all.
	 * NULL: nothing. Cloud metadata addresses stay shut in any case. */
	const char *allow;
	unsigned max_connections; /* open at once, idle ones too; further requests wait. 0: 2,048, or half of RLIMIT_NOFILE */
	const char *user_agent; /* NULL: "libgather" */
	const char *ca_file;    /* the certificates that are trusted (PEM). NULL: the system's */
};

/* A client, the caller's until ga_http_client_free(), which lets its unfinished requests end first. options may be NULL.
 * -EINVAL: `allow` is wrong; then error (if not NULL) says where. */
GA_API int ga_http_client_new(const struct ga_http_client_options *options, char *error,
			      size_t error_size, ga_http_client **ret_client) GA_MUST_CHECK;
GA_API void ga_http_client_free(ga_http_client *client); /* NULL is a no-op */

struct ga_http_header {
	const char *name, *value;
};

/* All of it is copied; start from { .url = ... }, as zero is the default of everything. */
struct ga_http_request {
	const char *url;
	const char *method; /* NULL: GET, or POST if there is a body */
	const struct ga_http_header *headers;
	size_t header_count;
	const void *body;
	size_t body_bytes;
	int64_t deadline; /* of the whole request, waiting for a connection included; 0 or GA_NEVER: none */
	int64_t connect_timeout_ns; /* of each connect, TLS included; 0: 30 s */
	size_t max_body;            /* after decompression; 0: 1 MiB */
	unsigned follow; /* redirects to follow; further ones are an error; 0: a redirect is the answer */
	bool insecure;          /* take any certificate */
	bool as_sent;           /* no Accept-Encoding, and the body as it came */
	bool http1;             /* HTTP/1.1 even where HTTP/2 is offered */
	bool discard_body;      /* count it, don't keep it */
	const char *user_agent; /* NULL: the client's */
	ga_http_client *client; /* NULL: the loop's own, which allows all but metadata addresses */
};

/* GET with up to 5 redirects. NULL: no memory. */
GA_API ga_future *ga_http_get(const char *url);
GA_API ga_future *ga_http_request(const struct ga_http_request *request);

enum ga_http_error {
	GA_HTTP_OK,          /* no error (the request may be pending) */
	GA_HTTP_BAD_URL,     /* -EINVAL: malformed, or neither http nor https */
	GA_HTTP_BAD_REQUEST, /* -EINVAL: method or header with characters that don't belong there */
	GA_HTTP_RESOLVE_FAILED, /* -EHOSTUNREACH: the name has no address, or its servers don't answer */
	GA_HTTP_ADDRESS_REFUSED, /* -EACCES: by the client's rule; the text says what would allow it */
	GA_HTTP_CONNECT_FAILED,  /* -ECONNREFUSED */
	GA_HTTP_TLS_FAILED,      /* -EKEYREJECTED */
	GA_HTTP_TIMEOUT,         /* -ETIMEDOUT */
	GA_HTTP_CONNECTION_LOST, /* -ECONNRESET: closed before the answer was complete */
	GA_HTTP_PROTOCOL, /* -EPROTO: the answer isn't sound HTTP, or its headers exceed 256 KiB */
	GA_HTTP_BODY_TOO_LARGE,     /* -EFBIG: beyond max_body; what came until then is kept */
	GA_HTTP_TOO_MANY_REDIRECTS, /* -ELOOP */
	GA_HTTP_CANCELLED,          /* -ECANCELED */
	GA_HTTP_NO_MEMORY,          /* -ENOMEM */
};

/* These read a request's outcome once it is resolved; of any other future they say "nothing" (0, NULL, false). What they
 * return is the future's own, and lives as long as it does. */
GA_API enum ga_http_error ga_http_error(const ga_future *future);
GA_API const char *ga_http_error_word(enum ga_http_error error); /* "resolve_failed": stable, for programs */
GA_API const char *ga_http_error_text(const ga_future *future); /* a sentence for people; "" without an error */
GA_API int ga_http_status(const ga_future *future); /* of the last answer, with errors too; 0: none came */
GA_API const char *ga_http_url(const ga_future *future); /* the last one asked, after redirects */
GA_API unsigned ga_http_redirects(const ga_future *future); /* followed */
GA_API const char *ga_http_body(const ga_future *future,
				size_t *ret_bytes); /* NUL-terminated; ret_bytes may be NULL */
/* The body becomes the caller's, to be given to free(). NULL: there is none, or it was taken. */
GA_API char *ga_http_body_take(ga_future *future, size_t *ret_bytes);

/* The value of the first header of that name, in any case; NULL: none. */
GA_API const char *ga_http_header(const ga_future *future, const char *name);
/* One header after the other, as they came: *cursor starts at 0; false at the end. */
GA_API bool ga_http_header_next(const ga_future *future, size_t *cursor,
				struct ga_http_header *ret_header);

#ifdef __cplusplus
}
#endif
