/*
 * tls_context.c — what many TLS streams share: certificates, keys, protocols, rules.
 */
#include "deep.h"
#include "tls_session.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct making { /* on the loop's stack, in the frame of who asked */
	const struct ga_tls_options *options;
	struct ga_tls *tls;
	bool server;
	int result;
	char error[TLS_TEXT_MAX];
};

static int context_new(bool server, const struct ga_tls_options *options, char *error,
		       size_t error_size, ga_tls **ret_tls);
static void make(void *arg);
static int make_context(struct making *m);
static int load_own(struct making *m);
static int load_trusted(struct making *m);
static int set_alpn(struct making *m);
static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_size,
		       const unsigned char *offered, unsigned offered_size, void *arg);
static void context_free(struct loop_call *c);

int ga_tls_client_new(const struct ga_tls_options *options, char *error, size_t error_size,
		      ga_tls **ret_tls)
{
	return context_new(false, options, error, error_size, ret_tls);
}

int ga_tls_server_new(const struct ga_tls_options *options, char *error, size_t error_size,
		      ga_tls **ret_tls)
{
	return context_new(true, options, error, error_size, ret_tls);
}

struct ga_tls *tls_ref(struct ga_tls *tls)
{
	atomic_fetch_add_explicit(&tls->refs, 1, memory_order_relaxed);
	return tls;
}

void ga_tls_free(ga_tls *tls)
{
	if (tls && atomic_fetch_sub_explicit(&tls->refs, 1, memory_order_acq_rel) == 1)
		deep_call_soon(&tls->later);
}

static int context_new(bool server, const struct ga_tls_options *options, char *error,
		       size_t error_size, ga_tls **ret_tls)
{
	static const struct ga_tls_options none;
	struct making m = { .options = options ? options : &none, .server = server };

	deep_call(make, &m);
	if (m.result < 0) {
		if (error && error_size > 0)
			snprintf(error, error_size, "%s", m.error[0] ? m.error : strerror(-m.result));
		return m.result;
	}
	*ret_tls = m.tls;
	return 0;
}

/* -EINVAL with the reason; `what` holds one %s, the reason's place being behind it. */
static int refuse(struct making *m, const char *what, const char *file)
{
	char reason[128];

	tls_reason(reason, sizeof(reason));
	snprintf(m->error, sizeof(m->error), "%s %s: %s", what, file, reason);
	return -EINVAL;
}

static void make(void *arg)
{
	struct making *m = arg;

	m->tls = calloc(1, sizeof(*m->tls));
	if (!m->tls) {
		m->result = -ENOMEM;
		return;
	}
	m->tls->refs = 1;
	loop_call_init(&m->tls->later, context_free, m->tls);
	m->tls->server = m->server;
	m->tls->insecure = m->options->insecure && !m->server;
	m->tls->ctx = SSL_CTX_new(m->server ? TLS_server_method() : TLS_client_method());
	m->result = m->tls->ctx ? make_context(m) : -ENOMEM;
	if (m->result < 0)
		context_free(&m->tls->later);
	ERR_clear_error();
}

/* A key behind a pass phrase must not make OpenSSL ask for it at the terminal. */
static int no_pass_phrase(char *out, int size, int writing, void *arg)
{
	(void)out;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

static int make_context(struct making *m)
{
	static const unsigned char session_context[] = "gather";
	SSL_CTX *ctx = m->tls->ctx;
	int r;

	(void)SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	(void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
					       SSL_OP_CIPHER_SERVER_PREFERENCE);
	(void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_default_passwd_cb(ctx, no_pass_phrase);
	(void)SSL_CTX_set_session_id_context(ctx, session_context, sizeof(session_context) - 1);
	r = load_own(m);
	if (r >= 0)
		r = load_trusted(m);
	if (r >= 0)
		r = set_alpn(m);
	return r;
}

static int load_own(struct making *m)
{
	const char *certificate = m->options->certificate_file;
	const char *key = m->options->key_file ? m->options->key_file : certificate;

	if (!certificate && (m->server || m->options->key_file)) {
		snprintf(m->error, sizeof(m->error), "a certificate is needed");
		return -EINVAL;
	}
	if (!certificate)
		return 0;
	if (SSL_CTX_use_certificate_chain_file(m->tls->ctx, certificate) != 1)
		return refuse(m, "no certificate in", certificate);
	if (SSL_CTX_use_PrivateKey_file(m->tls->ctx, key, SSL_FILETYPE_PEM) != 1)
		return refuse(m, "no key for the certificate in", key);
	return 0; /* which has compared it with the certificate */
}

static int load_trusted(struct making *m)
{
	const char *file = m->options->ca_file;
	SSL_CTX *ctx = m->tls->ctx;
	bool ask = !m->server || m->options->ask_client_certificate;

	if (m->server && ask && !file) {
		snprintf(m->error, sizeof(m->error),
			 "clients can't be asked for certificates without ca_file");
		return -EINVAL;
	}
	if (file && SSL_CTX_load_verify_file(ctx, file) != 1)
		return refuse(m, "no trusted certificates in", file);
	if (!m->server && !file && !m->tls->insecure && SSL_CTX_set_default_verify_paths(ctx) != 1)
		return refuse(m, "no trusted certificates in", "the system's place");
	if (m->server && ask) {
		STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(file);

		if (!names)
			return refuse(m, "no trusted certificates in", file);
		SSL_CTX_set_client_CA_list(ctx, names);
	}
	SSL_CTX_set_verify(ctx,
			   ask && !m->tls->insecure ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT
						    : SSL_VERIFY_NONE,
			   NULL);
	return 0;
}

/* "h2,http/1.1" to "\2h2\8http/1.1". */
static int set_alpn(struct making *m)
{
	struct ga_tls *tls = m->tls;
	const char *at = m->options->alpn;

	while (at && *at) {
		size_t size = strcspn(at, ",");

		if (size == 0 || tls->alpn_size + 1 + size > sizeof(tls->alpn)) {
			snprintf(m->error, sizeof(m->error), "not a list of protocols: %s",
				 m->options->alpn);
			return -EINVAL;
		}
		tls->alpn[tls->alpn_size++] = (unsigned char)size;
		memcpy(tls->alpn + tls->alpn_size, at, size);
		tls->alpn_size += (unsigned)size;
		at += size + (at[size] == ',');
	}
	if (tls->alpn_size == 0)
		return 0;
	if (m->server)
		SSL_CTX_set_alpn_select_cb(tls->ctx, choose_alpn, tls);
	else if (SSL_CTX_set_alpn_protos(tls->ctx, tls->alpn, tls->alpn_size) != 0)
		return -ENOMEM;
	return 0;
}

/* The server's preference counts; no protocol in common is the end (RFC 7301, section 3.2). */
static int choose_alpn(SSL *ssl GA_UNUSED, const unsigned char **out, unsigned char *out_size,
		       const unsigned char *offered, unsigned offered_size, void *arg)
{
	const struct ga_tls *tls = arg;
	unsigned char *chosen;

	if (SSL_select_next_proto(&chosen, out_size, tls->alpn, tls->alpn_size, offered,
				  offered_size) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

static void context_free(struct loop_call *c)
{
	struct ga_tls *tls = c->arg;

	SSL_CTX_free(tls->ctx);
	free(tls);
}
