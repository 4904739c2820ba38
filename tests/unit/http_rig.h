/*
 * http_rig.h — an HTTP server on the test's own loop, that remembers what it was asked.
 *
 * Request paths choose what it does: /hang answers nothing until the client goes, /status/N, /to?URL (302), /see/N?URL
 * (a redirect with that status), /gzip (1,000 times "a", compressed), /body/N (N bytes), /endless, /drop, /lie (closes
 * before Content-Length is met), /garbage, /interim (103 first), /huge-headers, /slow (10 ms). Anything else: "hello".
 */
#pragma once
#include "async_check.h"
#include <gather/http.h>
#include <gather/stream.h>
#include <stdlib.h>
#include <string.h>

struct http_rig {
	ga_server *server;
	ga_future *task;
	uint16_t port;
	int connections, requests, open, open_max, hung_up;
	char last[4096]; /* the last request: head and body */
};

int http_rig_start(struct http_rig *rig);
int http_rig_stop(struct http_rig *rig) GA_ASYNC;
/* "http://127.0.0.1:PORT" and the path; one of a few static buffers. */
const char *http_rig_url(const struct http_rig *rig, const char *path);

struct http_case {
	int (*body)(struct http_rig *rig);
};

static inline int run_case(const void *arg)
{
	const struct http_case *c = arg;
	struct http_rig rig;
	int r = http_rig_start(&rig), stopped;

	if (r < 0)
		return r;
	r = c->body(&rig);
	stopped = http_rig_stop(&rig);
	return r ? r : stopped;
}

/* A unit test that runs the body as a coroutine, with a server. */
#define HTTP_CASE(name)                                                                            \
	static int name##_body(struct http_rig *rig);                                              \
	static void name(void **state GA_UNUSED)                                                   \
	{                                                                                          \
		assert_int_equal(ga_run(run_case, &(struct http_case){ name##_body }), 0);         \
	}                                                                                          \
	static int name##_body(struct http_rig *rig GA_UNUSED)

/* Send and wait; the future is the caller's. */
static inline ga_future *done(struct ga_http_request request)
{
	ga_future *f;

	if (request.deadline == 0)
		request.deadline = ga_now() + GA_SECONDS(20);
	f = ga_http_request(&request);
	(void)ga_await(f);
	return f;
}

/* The error and the errno of a request, and what its text says. */
static inline int fails(struct ga_http_request request, enum ga_http_error error, int result,
			const char *text)
{
	ga_future *f = done(request);

	if (ga_http_error(f) != error || ga_result(f, NULL) != result ||
	    !strstr(ga_http_error_text(f), text)) {
		fprintf(stderr, "# %s: %d (%s): %s\n", request.url ? request.url : "no URL",
			ga_result(f, NULL), ga_http_error_word(ga_http_error(f)),
			ga_http_error_text(f));
		ga_release(f);
		return -1;
	}
	ga_release(f);
	return 0;
}

#define FAILS(error, result, text, ...)                                                            \
	(fails((struct ga_http_request){ __VA_ARGS__ }, error, result, text) == 0)
