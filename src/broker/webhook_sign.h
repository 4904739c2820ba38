/*
 * webhook_sign.h — the signature of a webhook, as Standard Webhooks 1.0 has it (standardwebhooks.com): HMAC-SHA256 over
 * "ID.TIMESTAMP.BODY", by each of the keys. Pure.
 */
#pragma once
#include "compiler.h"
#include "span.h"
#include <stdint.h>

#define WEBHOOK_KEYS_MAX 4
#define WEBHOOK_KEY_MAX 64 /* bytes */
#define WEBHOOK_SIGNATURE_SIZE                                                                     \
	(WEBHOOK_KEYS_MAX * 48) /* "v1," and 44 of base64 each, separated by spaces, and a NUL */

struct webhook_keys {
	unsigned count;
	uint8_t size[WEBHOOK_KEYS_MAX];
	uint8_t key[WEBHOOK_KEYS_MAX][WEBHOOK_KEY_MAX];
};

/* One "whsec_BASE64" a line, of 24 to 64 bytes each; several while they are being changed. -EINVAL: it isn't so; what
 * is wrong with it isn't told, since that would be told of a secret. */
int webhook_keys_read(struct span text, struct webhook_keys *ret_keys) GA_MUST_CHECK;
void webhook_keys_forget(struct webhook_keys *keys);
void webhook_sign(const struct webhook_keys *keys, const char *id, int64_t timestamp,
		  struct span body, char ret_signature[WEBHOOK_SIGNATURE_SIZE]);
