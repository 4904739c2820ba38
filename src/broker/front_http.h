/*
 * front_http.h — HTTP/1.1 by libmicrohttpd, its epoll descriptor a watch on the broker's loop.
 *
 * Framing is strict: what libmicrohttpd accepts though RFC 9112 does not is refused with 400 in the first callback.
 */
#pragma once
#include "broker.h"

int http_front_new(struct broker *b, struct http_front **ret_front) GA_MUST_CHECK;
void http_front_free(struct http_front *f);
/* Take over an accepted descriptor; bytes that were peeked at are still in it. -EMFILE, -ENOMEM: fd is still the caller's. */
int http_front_add(struct http_front *f, int fd) GA_MUST_CHECK;
/* At the end of the turn: answers that waited go out. */
void http_front_flush(struct http_front *f);
