/*
 * tls_session.c — OpenSSL's side of a session: where it reads and writes, its making, its end.
 */
#include "tls_session.h"
#include "address.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static BIO_METHOD *method;
static pthread_once_t method_once = PTHREAD_ONCE_INIT;

static void method_make(void);
static int session_setup(struct tls_session *t);
static int expect_host(struct tls_session *t);

int tls_session_new(struct ga_tls *context, const char *host, struct tls_session **ret_session)
{
	struct tls_session *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	t->context = tls_ref(context);
	t->fd = -1;
	if (host)
		t->host = strdup(host);
	r = host && !t->host ? -ENOMEM : session_setup(t);
	if (r < 0) {
		tls_session_free(t);
		return r;
	}
	*ret_session = t;
	return 0;
}

void tls_session_free(struct tls_session *t)
{
	SSL_free(t->ssl);
	ga_tls_free(t->context);
	buf_done(&t->in);
	buf_done(&t->out);
	free(t->host);
	free(t->alpn);
	free(t->subject);
	free(t);
}

static int session_setup(struct tls_session *t)
{
	BIO *bio;

	pthread_once(&method_once, method_make);
	t->ssl = SSL_new(t->context->ctx);
	bio = method && t->ssl ? BIO_new(method) : NULL;
	ERR_clear_error();
	if (!bio)
		return -ENOMEM;
	BIO_set_data(bio, t);
	BIO_set_init(bio, 1);
	SSL_set_bio(t->ssl, bio, bio);
	if (t->context->server) {
		SSL_set_accept_state(t->ssl);
		return 0;
	}
	SSL_set_connect_state(t->ssl);
	return t->host ? expect_host(t) : 0;
}

/* The name that the certificate must have, and that the server is told (RFC 6066: names only, without the root's dot). */
static int expect_host(struct tls_session *t)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(t->ssl);
	size_t size = strlen(t->host);
	struct address address;
	int ok;

	if (size > 1 && t->host[size - 1] == '.')
		t->host[size - 1] = '\0';
	if (address_parse(t->host, &address) == 0) {
		ok = X509_VERIFY_PARAM_set1_ip(param, address.bytes, address.v6 ? 16 : 4);
	} else {
		X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
		ok = SSL_set1_host(t->ssl, t->host) == 1 &&
		     SSL_set_tlsext_host_name(t->ssl, t->host) == 1;
	}
	ERR_clear_error();
	return ok ? 0 : -EINVAL;
}

/* ---- the ciphertext ---- */

static int on_bio_write(BIO *bio, const char *data, int size)
{
	struct tls_session *t = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	return size > 0 && buf_append(&t->out, data, (size_t)size) == 0 ? size : -1;
}

static int on_bio_read(BIO *bio, char *data, int size)
{
	struct tls_session *t = BIO_get_data(bio);
	size_t n = MIN(buf_size(&t->in), (size_t)MAX(size, 0));

	BIO_clear_retry_flags(bio);
	if (n == 0) {
		BIO_set_retry_read(bio);
		return -1;
	}
	memcpy(data, buf_data(&t->in), n);
	buf_consume(&t->in, n);
	return (int)n;
}

static long on_bio_control(BIO *bio GA_UNUSED, int what, long number GA_UNUSED, void *arg GA_UNUSED)
{
	return what == BIO_CTRL_FLUSH;
}

static void method_make(void)
{
	int type = BIO_get_new_index();
	BIO_METHOD *m = type < 0 ? NULL : BIO_meth_new(type | BIO_TYPE_SOURCE_SINK, "gather");

	if (m && BIO_meth_set_write(m, on_bio_write) == 1 &&
	    BIO_meth_set_read(m, on_bio_read) == 1 && BIO_meth_set_ctrl(m, on_bio_control) == 1)
		method = m;
	else
		BIO_meth_free(m);
}
