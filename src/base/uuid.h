/*
 * uuid.h — job ids: UUID version 7 (RFC 9562, section 5.7).
 */
#pragma once
#include "compiler.h"
#include <stdbool.h>
#include <stdint.h>

#define UUID_TEXT_SIZE 37 /* 36 characters and a NUL */

struct uuid {
	uint8_t b[16];
};

/* 48 bits of Unix milliseconds, 12 bits rand_a, 62 bits rand_b; version and variant are set here. */
void uuid7_make(struct uuid *ret_uuid, uint64_t unix_ms, uint16_t rand_a, uint64_t rand_b);
int64_t uuid7_ms(const struct uuid *id); /* the first of these */
void uuid_format(const struct uuid *id, char ret_text[UUID_TEXT_SIZE]);
/* -EINVAL unless the text is exactly 8-4-4-4-12 hexadecimal digits. */
int uuid_parse(const char *text, size_t size, struct uuid *ret_uuid) GA_MUST_CHECK;
bool uuid_equal(const struct uuid *a, const struct uuid *b);
uint64_t uuid_hash(const struct uuid *id); /* the random bits, mixed */
