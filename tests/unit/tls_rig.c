/*
 * tls_rig.c — a small certificate authority.
 */
#include "tls_rig.h"

#include <gather/attributes.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define DAY (24L * 60 * 60)

struct issue {
	const char *file, *common_name, *names; /* names: of X509v3's subjectAltName */
	long from, until;                       /* days from now */
	int by_itself, authority;
};

static const struct issue issues[] = {
	{ "ca.pem", "A test's authority", NULL, -1, 30, 1, 1 },
	{ "server.pem", "localhost", "DNS:localhost,IP:127.0.0.1,IP:::1,DNS:*.wild.test", -1, 30, 0, 0 },
	{ "other.pem", "localhost", "DNS:other.test", -1, 30, 0, 0 },
	{ "expired.pem", "localhost", "DNS:localhost", -30, -1, 0, 0 },
	{ "early.pem", "localhost", "DNS:localhost", 1, 30, 0, 0 },
	{ "self.pem", "localhost", "DNS:localhost", -1, 30, 1, 0 },
	{ "alice.pem", "alice", NULL, -1, 30, 0, 0 },
	{ "stranger.pem", "mallory", NULL, -1, 30, 1, 0 },
};
#define ISSUES (sizeof(issues) / sizeof(issues[0]))

static char directory[32];

const char *tls_rig_path(const char *name)
{
	static char paths[8][64];
	static unsigned next;
	char *path = paths[next++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%s", directory, name);
	return path;
}

static int add_extension(X509 *certificate, int nid, const char *value)
{
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
	int ok = extension && X509_add_ext(certificate, extension, -1);

	X509_EXTENSION_free(extension);
	return ok;
}

static X509 *certificate_new(const struct issue *i, EVP_PKEY *key, X509 *ca, EVP_PKEY *ca_key)
{
	static long serial = 1;
	X509 *c = X509_new();
	X509_NAME *name = X509_get_subject_name(c);
	int ok = X509_set_version(c, 2) && ASN1_INTEGER_set(X509_get_serialNumber(c), serial++) &&
		 X509_gmtime_adj(X509_getm_notBefore(c), i->from * DAY) &&
		 X509_gmtime_adj(X509_getm_notAfter(c), i->until * DAY) && X509_set_pubkey(c, key) &&
		 X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
					    (const unsigned char *)i->common_name, -1, -1, 0) &&
		 X509_set_issuer_name(c, i->by_itself ? name : X509_get_subject_name(ca)) &&
		 add_extension(c, NID_basic_constraints,
			       i->authority ? "critical,CA:TRUE" : "critical,CA:FALSE") &&
		 (!i->names || add_extension(c, NID_subject_alt_name, i->names)) &&
		 X509_sign(c, i->by_itself ? key : ca_key, EVP_sha256()) > 0;

	if (ok)
		return c;
	X509_free(c);
	return NULL;
}

/* A key that nobody knows the pass phrase of. */
static int save_locked(EVP_PKEY *key)
{
	FILE *out = fopen(tls_rig_path("locked.pem"), "w");
	int ok = out && PEM_write_PrivateKey(out, key, EVP_aes_128_cbc(),
					     (const unsigned char *)"secret", 6, NULL, NULL);

	return out && fclose(out) == 0 && ok ? 0 : -1;
}

static int save(const char *file, EVP_PKEY *key, X509 *certificate)
{
	FILE *out = fopen(tls_rig_path(file), "w");
	int ok = out && (!key || (PEM_write_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL) &&
				  PEM_write_X509(out, certificate)));

	return out && fclose(out) == 0 && ok ? 0 : -1;
}

int tls_rig_open(void **state GA_UNUSED)
{
	EVP_PKEY *keys[ISSUES] = { NULL };
	X509 *certificates[ISSUES] = { NULL };
	int r = 0;

	snprintf(directory, sizeof(directory), "/tmp/test_tls_XXXXXX");
	if (!mkdtemp(directory))
		return -1;
	for (size_t i = 0; i < ISSUES && r == 0; i++) {
		keys[i] = EVP_EC_gen("P-256");
		certificates[i] =
			keys[i] ? certificate_new(&issues[i], keys[i], certificates[0], keys[0]) : NULL;
		r = certificates[i] ? save(issues[i].file, keys[i], certificates[i]) : -1;
	}
	if (r == 0)
		r = save_locked(keys[0]);
	for (size_t i = 0; i < ISSUES; i++) {
		EVP_PKEY_free(keys[i]);
		X509_free(certificates[i]);
	}
	return r == 0 ? save("empty.pem", NULL, NULL) : r;
}

int tls_rig_close(void **state GA_UNUSED)
{
	for (size_t i = 0; i < ISSUES; i++)
		unlink(tls_rig_path(issues[i].file));
	unlink(tls_rig_path("empty.pem"));
	unlink(tls_rig_path("locked.pem"));
	return rmdir(directory);
}
