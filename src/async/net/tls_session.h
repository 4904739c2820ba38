/*
 * tls_session.h — one stream's TLS, and the context that it comes from.
 *
 * A session is owned by its stream until that is closed, then by itself until it has said good-bye on the loop's stack. All
 * of OpenSSL is called there; ciphertext stands in two buffers, filled and emptied by this side alone.
 */
#pragma once
#include "buf.h"
#include "loop.h"

#include <gather/tls.h>
#include <openssl/ssl.h>
#include <stdatomic.h>

#define TLS_TEXT_MAX 384

struct ga_tls {
	_Atomic unsigned refs; /* streams of several threads may share it */
	SSL_CTX *ctx;
	bool server, insecure;
	unsigned char alpn[256]; /* as on the wire: each name behind its length */
	unsigned alpn_size;
	struct loop_call later; /* frees it */
};

struct ga_tls *tls_ref(struct ga_tls *tls);

enum tls_state {
	TLS_SHAKING, /* hands */
	TLS_OPEN,
	TLS_FINISHED, /* close_notify is sent, or about to be: nothing can be written */
	TLS_BROKEN,   /* `error` says it again and again */
};

struct tls_session {
	struct ga_tls *context;
	SSL *ssl;
	struct buf in, out; /* ciphertext */
	enum tls_state state;
	int error;
	struct ga_stream *stream; /* NULL: closed */
	int fd;                   /* when closed */
	struct loop_call later;
	char *host; /* whose certificate is expected, or NULL */
	char *alpn, *subject;
	const char *version;
	char text[TLS_TEXT_MAX]; /* why it broke */
};

/* tls_session.c: begin, with buffers for the ciphertext; on the loop's stack. */
int tls_session_new(struct ga_tls *context, const char *host,
		    struct tls_session **ret_session) GA_MUST_CHECK;
void tls_session_free(struct tls_session *t); /* on the loop's stack */

/* tls_text.c: break a session after an OpenSSL call that failed: the errno, which stands in `error` with its sentence. */
int tls_break(struct tls_session *t);
int tls_break_with(struct tls_session *t, int error, const char *text);
/* What OpenSSL's newest error is called; empties its queue. */
void tls_reason(char *out, size_t out_size);
/* Keep the sentence for ga_tls_error(); returns `error`. */
int tls_tell(int error, const char *text);

/* Shake hands in the role of the context; a failure leaves the stream to be closed only. */
int tls_start(struct ga_stream *s, struct ga_tls *context, const char *host,
	      int64_t deadline) GA_ASYNC GA_MUST_CHECK;
