/*
 * tls.h — TLS 1.2 and 1.3 for streams, by OpenSSL, whose calls all run on the loop's stack.
 *
 * A ga_tls holds what many streams share: the role (client or server), the certificates that are trusted and shown, the
 * protocols to agree on. It is constant, belongs to no loop, and each stream that uses it keeps it alive. Certificates
 * and the host's name (or address) are checked unless `insecure` says otherwise. Renegotiation and compression are off.
 *
 * A TLS stream is a ga_stream: every function of stream.h has the same meaning on it. ga_stream_shutdown() and
 * ga_stream_close() send close_notify. An end without the peer's close_notify is no end but -ECONNRESET: somebody may
 * have cut what was sent. After an error that is neither -ETIMEDOUT nor -ECANCELED the stream can only be closed.
 *
 * Errors: -EKEYREJECTED: a certificate was refused, by this side or the other; -EPROTO: the other side doesn't speak TLS,
 * or none that both accept; ga_tls_error() has the sentence.
 */
#pragma once
#include <gather/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

/* All of it is copied. Files are PEM and are read once. */
struct ga_tls_options {
	const char *ca_file; /* whose certificates are trusted. NULL: the system's (a server: needed to ask clients) */
	const char *certificate_file; /* shown to the other side, with its chain; a client's may be NULL */
	const char *key_file;         /* NULL: it is in certificate_file */
	const char *alpn;             /* protocols by preference: "h2,http/1.1". NULL: none */
	bool insecure;                /* a client takes any certificate of any host */
	bool ask_client_certificate; /* a server refuses clients without a trusted one */
};

/* The caller's until ga_tls_free(). options may be NULL for a client. -EINVAL: a file or an option is no good, and error
 * (if not NULL) says which and why; -ENOMEM. Reads files without the thread pool; a task that calls it is suspended
 * for as long. */
GA_API int ga_tls_client_new(const struct ga_tls_options *options, char *error, size_t error_size,
			     ga_tls **ret_tls) GA_ASYNC GA_MUST_CHECK;
GA_API int ga_tls_server_new(const struct ga_tls_options *options, char *error, size_t error_size,
			     ga_tls **ret_tls) GA_ASYNC GA_MUST_CHECK;
GA_API void ga_tls_free(ga_tls *tls); /* NULL is a no-op; its streams go on */

/* Connect as ga_connect_tcp() does and shake hands; the certificate must be for `host`. tls: a client's. */
GA_API int ga_connect_tls(const char *host, uint16_t port, ga_tls *tls, int64_t deadline,
			  ga_stream **ret_stream) GA_ASYNC GA_MUST_CHECK;
/* From here on the stream is TLS, in the role of `tls`. A client names the host whose certificate it expects (NULL only if
 * insecure), a server passes NULL. -EPROTO: bytes were read ahead that came before TLS and could be anybody's (the STARTTLS
 * injection). -EALREADY: it is TLS. -EBUSY: a task is inside a call on it. After any other error the stream can only be
 * closed. */
GA_API int ga_stream_start_tls(ga_stream *stream, ga_tls *tls, const char *host,
			       int64_t deadline) GA_ASYNC GA_MUST_CHECK;

/* The stream's own; NULL where there is none. */
GA_API const char *ga_stream_alpn(const ga_stream *stream); /* the protocol agreed on */
GA_API const char *ga_stream_subject(const ga_stream *stream); /* the other side's checked certificate: "CN=alice" */
GA_API const char *ga_stream_tls_version(const ga_stream *stream); /* "TLSv1.3" */

/* A sentence on why the last TLS call that failed on this thread did: "the certificate of HOST has expired". Valid until
 * the next one fails: read it before suspending. "" before the first. */
GA_API const char *ga_tls_error(void);

#ifdef __cplusplus
}
#endif
