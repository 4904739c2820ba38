/*
 * front_http.h — HTTP/1.1 by libmicrohttpd, its epoll descriptor a watch on the broker's loop.
 *
 * Framing is strict: what libmicrohttpd accepts though RFC 9112 does not is refused with 400 in the first callback.
 */
#pragma once
#include "broker.h"

int http_front_new(struct broker *b, struct http_front **ret_front) GA_MUST_CHECK;
void http_front_free(struct http_front *f);
/* Take over an accepted descriptor, also to close it where there is no memory; bytes that were peeked at are still in it. */
void http_front_add(struct http_front *f, int fd);
bool http_front_is_replying(const struct http_front *f); /* an answer is on its way */
unsigned http_front_connections(const struct http_front *f);
/* At the end of the turn: answers that waited go out. */
void http_front_flush(struct http_front *f);
