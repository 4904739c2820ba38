/*
 * stream_rig.h — a server and its clients on one loop, over TCP, a Unix socket or TLS.
 */
#pragma once
#include "async_check.h"
#include <gather/stream.h>
#include <gather/tls.h>

#define SOON (ga_now() + GA_SECONDS(10))

enum transport { OVER_TCP, OVER_UNIX, OVER_TLS, TRANSPORTS };

struct bench {
	enum transport transport;
	ga_server *server;
	ga_serve_fn handler;
	struct ga_serve_options options;
	int (*body)(struct bench *b);
	uint16_t port;
	char directory[32], path[64]; /* of the Unix socket */
	ga_tls *client_tls, *server_tls;
	int handlers, handlers_max; /* at work */
	int handler_result;
};

extern struct bench *current; /* for handlers */

/* Serve with `handler` while `body` runs: 0, or the line that failed. With OVER_TLS tls_rig_open() must have been called. */
int bench_run(enum transport transport, ga_serve_fn handler, int (*body)(struct bench *b),
	      struct ga_serve_options options);
/* The task of its server; `arg` is the bench. */
int bench_serving(const void *arg);
/* A new connection to it. */
int bench_connect(struct bench *b, ga_stream **ret_stream);
/* The same from a plain socket, for those who break rules. */
int bench_connect_raw(struct bench *b);

/* A context, or NULL once the reason is printed. */
ga_tls *tls_of(bool server, const struct ga_tls_options *options);
/* SERVER(.alpn = "h2") shows server.pem of tls_rig.h; CLIENT(.insecure = true). */
#define SERVER(...)                                                                                \
	tls_of(true, &(struct ga_tls_options){ .certificate_file = tls_rig_path("server.pem"),     \
					       __VA_ARGS__ })
#define CLIENT(...) tls_of(false, &(struct ga_tls_options){ __VA_ARGS__ })

/* The handler that sends everything back until the end. */
int echo(ga_stream *s, const void *arg);
