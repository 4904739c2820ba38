/*
 * tls_text.c — what went wrong, in a sentence.
 */
#include "clock.h"
#include "tls_session.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char last_error[TLS_TEXT_MAX];

static int break_by_certificate(struct tls_session *t, long verdict);
static bool alert_is_about_certificate(int alert);

const char *ga_tls_error(void)
{
	return last_error;
}

int tls_tell(int error, const char *text)
{
	snprintf(last_error, sizeof(last_error), "%s", text && *text ? text : strerror(-error));
	return error;
}

void tls_reason(char *out, size_t out_size)
{
	unsigned long e = ERR_peek_last_error();
	const char *text;

	/* The first of a chain is what happened, the rest who noticed; a file that isn't there is the first. */
	if (ERR_SYSTEM_ERROR(ERR_peek_error()))
		text = strerror(ERR_GET_REASON(ERR_peek_error()));
	else
		text = ERR_reason_error_string(e);
	snprintf(out, out_size, "%s", text ? text : "unknown reason");
	ERR_clear_error();
}

int tls_break_with(struct tls_session *t, int error, const char *text)
{
	t->state = TLS_BROKEN;
	t->error = error;
	if (text != t->text)
		snprintf(t->text, sizeof(t->text), "%s", text);
	ERR_clear_error();
	return error;
}

static const char *name_of(const struct tls_session *t)
{
	if (t->context->server)
		return "the client";
	return t->host ? t->host : "the server";
}

int tls_break(struct tls_session *t)
{
	unsigned long e = ERR_peek_last_error();
	int reason = ERR_GET_LIB(e) == ERR_LIB_SSL ? ERR_GET_REASON(e) : 0;
	long verdict = SSL_get_verify_result(t->ssl);
	char text[128];

	if (e == 0 || ERR_GET_REASON(e) == ERR_R_MALLOC_FAILURE) /* ours, for ciphertext, leaves no error */
		return tls_break_with(t, -ENOMEM, strerror(ENOMEM));
	if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED && verdict != X509_V_OK)
		return break_by_certificate(t, verdict);
	if (reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE)
		return tls_break_with(t, -EKEYREJECTED, "the client has shown no certificate");
	tls_reason(text, sizeof(text));
	if (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST) {
		snprintf(t->text, sizeof(t->text), "%s doesn't speak TLS (%s)", name_of(t), text);
		return tls_break_with(t, -EPROTO, t->text);
	}
	if (reason > SSL_AD_REASON_OFFSET) {
		snprintf(t->text, sizeof(t->text), "%s refuses: %s", name_of(t), text);
		return tls_break_with(t,
				      alert_is_about_certificate(reason - SSL_AD_REASON_OFFSET)
					      ? -EKEYREJECTED
					      : -EPROTO,
				      t->text);
	}
	snprintf(t->text, sizeof(t->text), "TLS with %s failed: %s", name_of(t), text);
	return tls_break_with(t, -EPROTO, t->text);
}

/* `%s` is whose it is. */
static const char *verdict_format(long verdict)
{
	switch (verdict) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return "the certificate of %s has expired";
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return "the certificate of %s is not valid yet";
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		return "the certificate is not for %s";
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
		return "the certificate of %s is signed by itself, and not trusted";
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		return "the certificate of %s is signed by nobody that is trusted";
	case X509_V_ERR_CERT_REVOKED:
		return "the certificate of %s was revoked";
	default:
		return NULL;
	}
}

static int break_by_certificate(struct tls_session *t, long verdict)
{
	const char *format = verdict_format(verdict), *mark;

	if (!format) {
		snprintf(t->text, sizeof(t->text), "the certificate of %s is refused: %s",
			 name_of(t), X509_verify_cert_error_string(verdict));
		return tls_break_with(t, -EKEYREJECTED, t->text);
	}
	mark = strstr(format, "%s");
	snprintf(t->text, sizeof(t->text), "%.*s%s%s", (int)(mark - format), format, name_of(t),
		 mark + 2);
	return tls_break_with(t, -EKEYREJECTED, t->text);
}

/* RFC 8446, section 6. */
static bool alert_is_about_certificate(int alert)
{
	switch (alert) {
	case SSL_AD_BAD_CERTIFICATE:
	case SSL_AD_UNSUPPORTED_CERTIFICATE:
	case SSL_AD_CERTIFICATE_REVOKED:
	case SSL_AD_CERTIFICATE_EXPIRED:
	case SSL_AD_CERTIFICATE_UNKNOWN:
	case SSL_AD_UNKNOWN_CA:
	case SSL_AD_ACCESS_DENIED:
	case SSL_AD_CERTIFICATE_REQUIRED:
		return true;
	default:
		return false;
	}
}
