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
