/*
 * refusal.h — why a request was refused, as data: every door renders it in its own way.
 *
 * `status` is HTTP's (RFC 9110); `code` a stable word for programs ("unknown_type"); `field` the JSON path of the culprit
 * or ""; `message` one sentence that says what was wrong and what would be right.
 */
#pragma once
#include "compiler.h"
#include <errno.h>

struct refusal {
	int status;
	unsigned retry_after_ms; /* 0: none */
	char code[32];
	char field[64];
	char message[384];
};

/* Control characters in values are escaped. */
void refusal_fill(struct refusal *r, int status, const char *code, const char *field,
		  const char *format, ...) GA_PRINTF(5, 6);
/* Fill it; -EINVAL, so that checks end with `return refuse(...)`. A macro, for analysers to see that it is an error. */
#define refuse(r, ...)                                                                             \
	({                                                                                         \
		refusal_fill((r), __VA_ARGS__);                                                    \
		-EINVAL;                                                                           \
	})
