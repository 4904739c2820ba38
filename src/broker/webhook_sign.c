#include "webhook_sign.h"
#include "text.h"
#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdio.h>
#include <stdlib.h>

#define PREFIX "whsec_"
#define KEY_MIN 24
#define DIGEST_SIZE 32

static int read_key(struct span line, struct webhook_keys *keys)
{
	uint8_t key[WEBHOOK_KEY_MAX + 2]; /* base64 comes in threes */
	const size_t prefix = strlen(PREFIX);
	int64_t size = -EINVAL;

	if (line.size > prefix && line.size - prefix < BASE64_SIZE(WEBHOOK_KEY_MAX) &&
	    memcmp(line.data, PREFIX, prefix) == 0)
		size = base64_decode(line.data + prefix, line.size - prefix, key);
	if (size >= KEY_MIN && size <= WEBHOOK_KEY_MAX && keys->count < WEBHOOK_KEYS_MAX) {
		memcpy(keys->key[keys->count], key, (size_t)size);
		keys->size[keys->count++] = (uint8_t)size;
	} else {
		size = -EINVAL;
	}
	OPENSSL_cleanse(key, sizeof(key));
	return size < 0 ? -EINVAL : 0;
}

int webhook_keys_read(struct span text, struct webhook_keys *ret_keys)
{
	const char *at = text.data, *end = at + text.size;
	struct webhook_keys keys = { 0 };
	int r = 0;

	while (r == 0 && at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at)),
			   *stop = newline ? newline : end;

		r = read_key((struct span){ at, (size_t)(stop - at) }, &keys);
		at = newline ? newline + 1 : end;
	}
	if (r == 0 && keys.count == 0)
		r = -EINVAL;
	if (r == 0)
		*ret_keys = keys;
	webhook_keys_forget(&keys);
	return r;
}

void webhook_keys_forget(struct webhook_keys *keys)
{
	OPENSSL_cleanse(keys, sizeof(*keys));
}

static void digest(EVP_MAC_CTX *mac, const char *id, int64_t timestamp, struct span body,
		   const uint8_t *key, size_t key_size, uint8_t out[DIGEST_SIZE])
{
	char hash[] = "SHA256", head[160];
	const OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, hash, 0),
				      OSSL_PARAM_construct_end() };
	int size = snprintf(head, sizeof(head), "%s.%lld.", id, (long long)timestamp);

	/* What can fail here is memory alone. */
	if (size >= (int)sizeof(head) || EVP_MAC_init(mac, key, key_size, params) != 1 ||
	    EVP_MAC_update(mac, (const uint8_t *)head, (size_t)size) != 1 ||
	    EVP_MAC_update(mac, (const uint8_t *)body.data, body.size) != 1 ||
	    EVP_MAC_final(mac, out, NULL, DIGEST_SIZE) != 1)
		abort();
}

void webhook_sign(const struct webhook_keys *keys, const char *id, int64_t timestamp,
		  struct span body, char ret_signature[WEBHOOK_SIGNATURE_SIZE])
{
	EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	EVP_MAC_CTX *mac = hmac ? EVP_MAC_CTX_new(hmac) : NULL;
	uint8_t sum[DIGEST_SIZE];
	char *at = ret_signature;

	if (!mac)
		abort();
	*at = '\0';
	for (unsigned i = 0; i < keys->count; i++) {
		digest(mac, id, timestamp, body, keys->key[i], keys->size[i], sum);
		at += sprintf(at, "%sv1,", i ? " " : "");
		base64_encode(sum, sizeof(sum), at);
		at += strlen(at);
	}
	EVP_MAC_CTX_free(mac);
	EVP_MAC_free(hmac);
}
