/*
 * tls_stream.c — the transport that makes a stream TLS. A task's call is one attempt on the loop's stack, repeated there
 * whenever the socket is ready, so that it costs one change of stack each way however many records it takes.
 */
#include "deep.h"
#include "stream_io.h"
#include "tls_session.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECEIVE_BYTES 32768u
#define ENCRYPT_BYTES 65536u
/* So many blocks are encrypted before others may run. */
#define BLOCKS_AT_ONCE 16
/* What is unread at the end is read and dropped, up to here: closing over it would reset the connection, and the other
 * side might lose what it was sent before. */
#define DRAIN_BYTES 65536u

static int tls_fill(struct ga_stream *s, int64_t deadline);
static int tls_write(struct ga_stream *s, struct iovec parts[2], int64_t deadline);
static int tls_shutdown(struct ga_stream *s);
static void tls_close(struct ga_stream *s);
static void tls_flush(struct ga_stream *s);

static const struct stream_transport tls_transport = {
	.fill = tls_fill,
	.write = tls_write,
	.shutdown = tls_shutdown,
	.close = tls_close,
	.flush = tls_flush,
};

struct starting {
	struct ga_tls *context;
	const char *host;
	struct tls_session *session;
	int result;
};

static void start(void *arg);
static int shake(struct ga_stream *s, void *arg);
static int note_peer(struct tls_session *t);
static int read_records(struct ga_stream *s, void *arg);
static int write_records(struct ga_stream *s, void *arg);
static int encrypt_block(struct tls_session *t, struct iovec parts[2]);
static int receive(struct ga_stream *s);
static int flush_out(struct tls_session *t, int fd);
static void later(struct loop_call *c);

static const char *text_for(const struct tls_session *t, int error);

/* ---- on the task's stack ---- */

int tls_start(struct ga_stream *s, struct ga_tls *context, const char *host, int64_t deadline)
{
	struct starting starting = { .context = context, .host = host };
	struct tls_session *t;
	int r;

	s->reading = s->writing = true;
	deep_call(start, &starting);
	if (starting.result < 0) {
		s->reading = s->writing = false;
		return tls_tell(starting.result, NULL);
	}
	t = starting.session;
	t->stream = s;
	loop_call_init(&t->later, later, t);
	s->tls = t;
	s->transport = &tls_transport;
	r = stream_try(s, LOOP_READ, shake, NULL, deadline);
	s->reading = s->writing = false;
	if (r >= 0)
		return 0;
	if (t->state == TLS_SHAKING)
		(void)tls_break_with(t, r == -EBUSY ? -EBUSY : -ENOTCONN,
				     "the TLS handshake was broken off");
	return tls_tell(r, text_for(t, r));
}

static const char *text_for(const struct tls_session *t, int error)
{
	return error == t->error ? t->text : NULL;
}

static int tls_fill(struct ga_stream *s, int64_t deadline)
{
	int r = stream_try(s, LOOP_READ, read_records, NULL, deadline);

	return r < 0 && r != -ENODATA ? tls_tell(r, text_for(s->tls, r)) : r;
}

static int tls_write(struct ga_stream *s, struct iovec parts[2], int64_t deadline)
{
	int r = stream_try(s, LOOP_WRITE, write_records, parts, deadline);

	if (r >= 0)
		return r;
	/* Half a record is no use to anybody: what is encrypted is sent, even if nobody waits for it any more. */
	if ((r == -ETIMEDOUT || r == -ECANCELED) && buf_size(&s->tls->out) > 0)
		stream_flushing(s, true);
	return tls_tell(r, text_for(s->tls, r));
}

/* Never suspends; what the socket doesn't take at once is sent as it becomes writable. */
static int tls_shutdown(struct ga_stream *s)
{
	struct tls_session *t = s->tls;

	if (t->state == TLS_BROKEN)
		return tls_tell(t->error, t->text);
	if (t->state != TLS_OPEN)
		return 0;
	t->state = TLS_FINISHED;
	deep_call_soon(&t->later);
	return 0;
}

static void tls_close(struct ga_stream *s)
{
	struct tls_session *t = s->tls;

	loop_call_stop(&t->later);
	t->stream = NULL;
	t->fd = s->fd;
	deep_call_soon(&t->later);
}

/* ---- on the loop's stack ---- */

static void start(void *arg)
{
	struct starting *s = arg;

	s->result = tls_session_new(s->context, s->host, &s->session);
}

static int shake(struct ga_stream *s, void *arg GA_UNUSED)
{
	struct tls_session *t = s->tls;

	for (;;) {
		int ok, r;

		ERR_clear_error();
		ok = SSL_do_handshake(t->ssl);
		if (ok == 1) {
			r = note_peer(t);
			tls_flush(s);
			return r;
		}
		if (SSL_get_error(t->ssl, ok) != SSL_ERROR_WANT_READ) {
			r = tls_break(t);
			(void)flush_out(t, s->fd); /* the alert says why */
			return r;
		}
		tls_flush(s);
		r = receive(s);
		if (r == -ENODATA)
			return tls_break_with(t, -ECONNRESET,
					      "the connection was closed during the TLS handshake");
		if (r < 0)
			return r;
	}
}

static char *copy_of(const unsigned char *data, size_t size)
{
	char *text = malloc(size + 1);

	if (text) {
		memcpy(text, data, size);
		text[size] = '\0';
	}
	return text;
}

static char *subject_of(X509 *certificate)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL, *data;
	long size;

	if (bio &&
	    X509_NAME_print_ex(bio, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253) >= 0) {
		size = BIO_get_mem_data(bio, &data);
		text = copy_of((unsigned char *)data, (size_t)size);
	}
	BIO_free(bio);
	return text;
}

static int note_peer(struct tls_session *t)
{
	X509 *certificate = t->context->insecure ? NULL : SSL_get0_peer_certificate(t->ssl);
	const unsigned char *alpn;
	unsigned alpn_size;

	SSL_get0_alpn_selected(t->ssl, &alpn, &alpn_size);
	if (alpn_size > 0)
		t->alpn = copy_of(alpn, alpn_size);
	if (certificate)
		t->subject = subject_of(certificate);
	if ((alpn_size > 0 && !t->alpn) || (certificate && !t->subject))
		return tls_break_with(t, -ENOMEM, strerror(ENOMEM));
	t->version = SSL_get_version(t->ssl);
	t->state = TLS_OPEN;
	return 0;
}

/* SSL_read() has nothing to give: the end, an error, or 0 if ciphertext must come first. */
static int why_no_data(struct tls_session *t)
{
	switch (SSL_get_error(t->ssl, 0)) {
	case SSL_ERROR_WANT_READ:
		return 0;
	case SSL_ERROR_ZERO_RETURN:
		return -ENODATA;
	default:
		return tls_break(t);
	}
}

/* Decrypt what has come, up to a chunk; ask the socket only if that is nothing. */
static int read_records(struct ga_stream *s, void *arg GA_UNUSED)
{
	struct tls_session *t = s->tls;
	size_t before = buf_size(&s->in), got = 0;

	if (t->state == TLS_BROKEN)
		return t->error;
	while (got < s->chunk) {
		char *room = buf_reserve(&s->in, s->chunk - got);
		size_t n = 0;
		int r;

		if (!room)
			return got ? 0 : -ENOMEM;
		ERR_clear_error();
		if (SSL_read_ex(t->ssl, room, s->chunk - got, &n) == 1) {
			buf_grew(&s->in, n);
			got = buf_size(&s->in) - before;
			continue;
		}
		r = why_no_data(t);
		tls_flush(s); /* an answer to it, or an alert */
		if (got > 0)
			break; /* an end or an error comes again */
		if (r < 0)
			return r;
		r = receive(s);
		if (r == -ENODATA)
			return tls_break_with(t, -ECONNRESET,
					      "the connection was closed without TLS's good-bye");
		if (r < 0)
			return r;
	}
	stream_got(s, got);
	return 0;
}

/* Ciphertext from the socket: 0, -EAGAIN, or -ENODATA at the connection's end. An idle stream keeps no buffer. */
static int receive(struct ga_stream *s)
{
	struct tls_session *t = s->tls;
	ssize_t n;
	char *room;

	room = buf_reserve(&t->in, RECEIVE_BYTES);
	if (!room)
		return -ENOMEM;
	do {
		n = recv(s->fd, room, RECEIVE_BYTES, 0);
	} while (n < 0 && errno == EINTR);
	if (n > 0) {
		buf_grew(&t->in, (size_t)n);
		return 0;
	}
	if (n < 0 && errno != EAGAIN)
		return -errno;
	if (buf_size(&t->in) == 0)
		buf_done(&t->in);
	return n == 0 ? -ENODATA : -EAGAIN;
}

/* What an earlier call left goes first: at most a block waits encrypted. */
static int write_records(struct ga_stream *s, void *arg)
{
	struct tls_session *t = s->tls;
	struct iovec *parts = arg;

	if (t->state == TLS_BROKEN)
		return t->error;
	if (t->state == TLS_FINISHED)
		return -EPIPE;
	for (int blocks = 0; blocks < BLOCKS_AT_ONCE; blocks++) {
		int r = flush_out(t, s->fd);

		if (r < 0)
			return r;
		if (parts[0].iov_len + parts[1].iov_len == 0)
			return 0;
		r = encrypt_block(t, parts);
		if (r < 0)
			return r;
	}
	return -EINPROGRESS;
}

/* Both parts go into one block, so that head and body are sent together. */
static int encrypt_block(struct tls_session *t, struct iovec parts[2])
{
	size_t room = ENCRYPT_BYTES;

	for (int i = 0; i < 2; i++) {
		size_t n = 0, size = MIN(parts[i].iov_len, room);

		if (size == 0)
			continue;
		ERR_clear_error();
		if (SSL_write_ex(t->ssl, parts[i].iov_base, size, &n) != 1)
			return tls_break(t);
		parts[i].iov_base = (char *)parts[i].iov_base + n;
		parts[i].iov_len -= n;
		room -= n;
	}
	return 0;
}

/* Send the ciphertext that there is: 0 if that is all, -EAGAIN. */
static int flush_out(struct tls_session *t, int fd)
{
	while (buf_size(&t->out) > 0) {
		ssize_t n = send(fd, buf_data(&t->out), buf_size(&t->out), MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		buf_consume(&t->out, (size_t)n);
	}
	buf_done(&t->out);
	return 0;
}

/* The same without a task that waits for it. An error is met again by the next call. */
static void tls_flush(struct ga_stream *s)
{
	stream_flushing(s, flush_out(s->tls, s->fd) == -EAGAIN);
}

/* After an error nothing more is said (RFC 8446, section 6.2). */
static void say_goodbye(struct tls_session *t)
{
	if (t->state != TLS_FINISHED || SSL_get_shutdown(t->ssl) & SSL_SENT_SHUTDOWN)
		return;
	ERR_clear_error();
	(void)SSL_shutdown(t->ssl); /* 0: the other side hasn't said it yet */
	ERR_clear_error();
}

static void drain(int fd)
{
	char data[4096];

	for (size_t left = DRAIN_BYTES; left > 0; left -= sizeof(data))
		if (recv(fd, data, sizeof(data), MSG_DONTWAIT) <= 0)
			return;
}

/* After ga_stream_shutdown(), or after the stream was closed. */
static void later(struct loop_call *c)
{
	struct tls_session *t = c->arg;

	if (t->stream) {
		say_goodbye(t);
		tls_flush(t->stream);
		return;
	}
	if (t->state == TLS_OPEN)
		t->state = TLS_FINISHED;
	say_goodbye(t);
	(void)flush_out(t, t->fd);
	drain(t->fd);
	close(t->fd);
	tls_session_free(t);
}

/* ---- the public side ---- */

int ga_connect_tls(const char *host, uint16_t port, ga_tls *tls, int64_t deadline, ga_stream **ret_stream)
{
	ga_stream *s;
	int r;

	if (tls->server)
		return tls_tell(-EINVAL, "a server's certificate and rules can't be a client's");
	r = ga_connect_tcp(host, port, deadline, &s);
	if (r < 0)
		return tls_tell(r, r == -EHOSTUNREACH ? ga_lookup_error() : NULL);
	r = tls_start(s, tls, host, deadline);
	if (r < 0) {
		ga_stream_close(s);
		return r;
	}
	*ret_stream = s;
	return 0;
}

int ga_stream_start_tls(ga_stream *stream, ga_tls *tls, const char *host, int64_t deadline)
{
	if (stream->tls)
		return tls_tell(-EALREADY, "the stream is TLS already");
	if (stream->is_pipe)
		return tls_tell(-ENOTSOCK, NULL);
	if (stream->reading || stream->writing)
		return tls_tell(-EBUSY, NULL);
	if (!tls->server && !tls->insecure && (!host || !*host))
		return tls_tell(-EINVAL, "whose certificate to expect must be said");
	if (buf_size(&stream->in) > 0)
		return tls_tell(-EPROTO, "bytes were sent ahead of TLS");
	return tls_start(stream, tls, tls->server ? NULL : host, deadline);
}

const char *ga_stream_alpn(const ga_stream *stream)
{
	return stream->tls ? stream->tls->alpn : NULL;
}

const char *ga_stream_subject(const ga_stream *stream)
{
	return stream->tls ? stream->tls->subject : NULL;
}

const char *ga_stream_tls_version(const ga_stream *stream)
{
	return stream->tls ? stream->tls->version : NULL;
}
