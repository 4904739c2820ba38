/*
 * stream.h — TCP and Unix sockets, and pipes, for coroutines: connect, read, write, serve.
 *
 * A stream is a connected socket, or one end of a pipe, with a read buffer of its own, owned by who made it (ga_serve()
 * owns those that it hands to handlers), used by one task at a time for reading and one for writing. Each call that may
 * wait takes a deadline (GA_NEVER: none); it tries the I/O first and suspends only if that would block, so that what is
 * there is had even when the deadline has passed. A write returns once the kernel has taken all of it: a peer that
 * doesn't read makes the writer wait. Errors: -ETIMEDOUT, -ECANCELED (nothing of the call happened, but a write may have
 * sent a part), -EBUSY (another task is inside the same call), -ENODATA (the other side closed), -EPIPE (a write after
 * that; there is no SIGPIPE), or the socket's errno. tls.h makes a stream a TLS one; all of this holds there too.
 */
#pragma once
#include <gather/async.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ga_stream ga_stream;
typedef struct ga_server ga_server;
typedef struct ga_tls ga_tls;

struct ga_address {
	char text[48];     /* "192.0.2.1", "2001:db8::1" */
	uint8_t bytes[16]; /* in network order; IPv4 uses the first four */
	uint16_t port;     /* as it was asked for */
	bool ipv6;
};

/* The addresses of a host (name or address), in the order in which to try them (RFC 6724): how many, at least 1; the
 * array goes to free(). By /etc/hosts and DNS, kept for their TTL. -EINVAL: not a host name; -EHOSTUNREACH: it has no
 * address, or its servers don't answer. */
GA_API int ga_lookup(const char *host, uint16_t port, int64_t deadline,
		     struct ga_address **ret_addresses) GA_ASYNC GA_MUST_CHECK;
/* Why the last lookup (a connect's too) that failed on this thread did; read it before suspending. "" before the first. */
GA_API const char *ga_lookup_error(void);

/* Connect to a host, as of ga_lookup(). Where it has several addresses IPv6 and IPv4 take turns: the next is tried
 * when one fails, or after 250 ms beside it; the first to answer wins (RFC 8305). Else the last one's error. */
GA_API int ga_connect_tcp(const char *host, uint16_t port, int64_t deadline,
			  ga_stream **ret_stream) GA_ASYNC GA_MUST_CHECK;
GA_API int ga_connect_unix(const char *path, int64_t deadline,
			   ga_stream **ret_stream) GA_ASYNC GA_MUST_CHECK;
/* Make a stream of a connected socket, or of a pipe's end, which becomes non-blocking and, on success, the stream's. */
GA_API int ga_stream_new(int fd, ga_stream **ret_stream) GA_MUST_CHECK;
GA_API int ga_stream_fd(const ga_stream *stream); /* borrowed */
/* Close and free; NULL is a no-op. No task may be inside a call on it. */
GA_API void ga_stream_close(ga_stream *stream);

/* What is there, at least 1 byte and at most `size`; 0: the other side closed. */
GA_API int64_t ga_stream_read(ga_stream *stream, void *data, size_t size,
			      int64_t deadline) GA_ASYNC GA_MUST_CHECK;
/* Exactly `size` bytes: 0; -ENODATA: closed before them, and what came stays to be read. */
GA_API int ga_stream_read_exactly(ga_stream *stream, void *data, size_t size,
				  int64_t deadline) GA_ASYNC GA_MUST_CHECK;
/* Up to and with `separator`: how many bytes stand at *ret_data, which is the stream's, valid until the next read.
 * -EMSGSIZE: none within `max` bytes. -ENODATA: closed before it came. What came stays to be read in both cases. */
GA_API int64_t ga_stream_read_until(ga_stream *stream, const char *separator, size_t max,
				    int64_t deadline, char **ret_data) GA_ASYNC GA_MUST_CHECK;

/* All of it: 0. */
GA_API int ga_stream_write(ga_stream *stream, const void *data, size_t size,
			   int64_t deadline) GA_ASYNC GA_MUST_CHECK;
/* Two parts as one, e.g. head and body. */
GA_API int ga_stream_write_two(ga_stream *stream, const void *first, size_t first_size,
			       const void *second, size_t second_size,
			       int64_t deadline) GA_ASYNC GA_MUST_CHECK;
GA_API int ga_stream_shutdown(ga_stream *stream); /* no more will be written: the other side reads the end */

/* Listen. host NULL: loopback; port 0: any free one. A Unix socket's path must not exist; it is removed at close. */
GA_API int ga_listen_tcp(const char *host, uint16_t port, ga_server **ret_server) GA_MUST_CHECK;
GA_API int ga_listen_unix(const char *path, ga_server **ret_server) GA_MUST_CHECK;
GA_API int ga_server_new(int fd, ga_server **ret_server) GA_MUST_CHECK; /* of a listening socket, e.g. systemd's */
GA_API uint16_t ga_server_port(const ga_server *server);                /* 0: not TCP */
GA_API int ga_server_fd(const ga_server *server);
GA_API void ga_server_close(ga_server *server); /* NULL is a no-op. ga_serve() on it must have returned */

typedef int (*ga_serve_fn)(ga_stream *stream, const void *arg);

struct ga_serve_options {
	const void *arg;      /* handed to each handler */
	unsigned max_streams; /* at once; more wait in the kernel's queue. 0: 10,000 */
	size_t stack_bytes;   /* of each handler's task; 0: 64 KiB */
	ga_tls *tls; /* a server's, of tls.h: handlers get TLS streams. Who fails to shake hands is dropped */
	int64_t handshake_timeout_ns; /* 0: 10 s */
};

/* Accept, and run `handler` in a task for each connection; its stream is closed when it returns. Serves until cancelled,
 * then cancels and joins the handlers: -ECANCELED; or until accepting fails for good: that errno. options may be NULL. */
GA_API int ga_serve(ga_server *server, ga_serve_fn handler,
		    const struct ga_serve_options *options) GA_ASYNC;

#ifdef __cplusplus
}
#endif
