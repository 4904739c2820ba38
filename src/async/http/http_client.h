/*
 * http_client.h — the insides of the http client: who does what.
 *
 *	http_request.c   a request from the caller's hands to its end: queue, names, redirects, deadline, cancelling
 *	http_transfer.c  one exchange: a recycled libcurl handle, its options and callbacks
 *	http_client.c    the client: libcurl's multi handle on the loop, its sockets and its timer
 *	http_hosts.c     which addresses libcurl was told for which host
 *	http_response.c  reading what came
 *
 * A request is QUEUED -> RESOLVING -> RUNNING -> ENDED, a redirect goes back to RESOLVING or RUNNING; request_move() in
 * http_request.c is the only writer. libcurl is called on the loop's stack alone: on a task's stack requests are only
 * queued or marked, and client_work() sees to them.
 */
#pragma once
#include "address.h"
#include "buf.h"
#include "dns.h"
#include "future.h"
#include "http_default.h"
#include "http_hosts.h"
#include "http_url.h"
#include "keeper.h"

#include <curl/curl.h>
#include <gather/http.h>

#define HTTP_HEAD_MAX (256u * 1024)
#define HTTP_TEXT_SIZE 512

enum request_state { REQUEST_QUEUED, REQUEST_RESOLVING, REQUEST_RUNNING, REQUEST_ENDED };

struct http_request {
	struct ga_future future;
	enum request_state state;
	enum ga_http_error error;
	ga_http_client *client; /* a reference, until ENDED */
	struct list node;       /* in client.queue or client.stopping */
	struct list all;        /* in client.requests, until ENDED */
	struct loop_timer deadline;
	struct dns_query query;
	struct http_transfer *transfer; /* while RUNNING */
	/* what was asked */
	char *url, *method, *user_agent;
	struct ga_http_header *headers; /* one block with their texts */
	size_t header_count;
	char *body;
	size_t body_bytes, max_body;
	int64_t connect_timeout_ns;
	unsigned follow, redirects;
	bool has_body, insecure, as_sent, http1, discard_body;
	bool orphan;     /* the future's last handle is gone: free at the end */
	bool crossed;    /* redirected to another origin: no credentials any more */
	bool told_again; /* its addresses were given once more for this hop */
	struct http_target target;
	/* what came */
	int status;
	char *text;         /* of the error */
	struct buf head;    /* name NUL value NUL ... */
	struct buf content; /* with a NUL behind it, not counted */
	size_t content_seen;
};

/* A libcurl easy handle that is used again and again; most options stay as they are. */
struct http_transfer {
	struct list node; /* in client.spare_transfers */
	CURL *easy;
	struct http_request *request;
	struct curl_slist *headers, *resolve;
	bool missed;    /* libcurl knew no address of the host */
	bool plain_get; /* no method or body is set */
	bool insecure, as_sent, http2, own_user_agent;
	int64_t connect_timeout_ms;
	char error[CURL_ERROR_SIZE];
};

/* A descriptor that libcurl has: watched by what it wants, and still for reading while it lies idle in the pool, because
 * the next exchange wants just that. */
struct http_socket {
	struct io_watch watch;
	bool started, wanted, idle; /* idle: watched, but doesn't keep the loop running */
};

struct ga_http_client {
	unsigned refs; /* the maker's, and one for each unfinished request */
	struct loop *loop;
	CURLM *multi;
	struct kept kept;
	struct dns *dns;
	struct address_policy *policy;
	struct http_hosts hosts;
	char *user_agent, *ca_file;
	struct loop_timer timer;
	struct loop_call work;
	bool kick;    /* libcurl's timer is due now */
	bool starved; /* libcurl wanted a watch or a timer, and there was no memory for it */
	bool closed;  /* with its loop */
	struct list requests, queue, stopping;
	struct list spare_transfers;
	unsigned active, max_active;
	struct http_socket **sockets; /* by descriptor */
	size_t socket_size;
};

/* ---- http_client.c ---- */
ga_http_client *client_default(void); /* the loop's own, borrowed; NULL: no memory or no loop */
void client_unref(ga_http_client *c);
int client_open(ga_http_client *c) GA_MUST_CHECK; /* make the multi handle, if there is none yet; -ENOMEM */
void client_forget_socket(ga_http_client *c, curl_socket_t fd);
int client_close_socket(void *client, curl_socket_t fd);

/* ---- http_request.c ---- */
extern const struct future_ops http_request_ops;
void request_start(struct http_request *r);
/* Why the exchange is about to fail; the first reason stands. */
void request_note(struct http_request *r, enum ga_http_error error, const char *format, ...)
	GA_PRINTF(3, 4);
/* Note and end. */
void request_fail(struct http_request *r, enum ga_http_error error, const char *format, ...)
	GA_PRINTF(3, 4);
void request_stop(struct http_request *r); /* cancelled while it was RUNNING */
void request_transfer_done(struct http_request *r, CURLcode code);

/* ---- http_response.c ---- */
int http_error_errno(enum ga_http_error error);        /* negative */
char *http_request_body(const struct http_request *r); /* NUL-terminated, "" if nothing came */

/* ---- http_transfer.c ---- */
/* Hand the request's next exchange to libcurl. The list is for CURLOPT_RESOLVE, or NULL. -ENOMEM, or -EINVAL: libcurl
 * refuses it. */
int transfer_start(struct http_request *r, struct curl_slist *resolve_take) GA_MUST_CHECK;
void transfer_end(struct http_request *r); /* closes the connection, if the exchange isn't over */
void transfer_free(struct http_transfer *t);
