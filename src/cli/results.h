/*
 * results.h — how an ended or refused job is shown, in words and as JSON.
 */
#pragma once
#include "cli.h"

bool event_ok(const struct ga_client_event *e);
const char *state_name(const struct ga_client_event *e);
/* Why it failed, as a sentence that names the field if there is one. */
void put_reason(struct strbuf *out, const struct ga_client_event *e);
/* The same as a short kind to count by: "timeout", "http 503", "crashed". */
void event_kind(const struct ga_client_event *e, char kind[64]);
int event_status(const struct ga_client_event *e); /* for a command about this one job */

/* A whole number of the metadata's first level. False: it has none of that name. */
bool meta_integer(struct ga_bytes meta, const char *key, int64_t *ret_value);

/* Parts of a JSON object, each with a comma before it. */
void put_outcome(struct strbuf *out, const struct ga_client_event *e); /* id, state, attempts, elapsed_ms */
void put_body(struct strbuf *out, struct ga_bytes body); /* body, or body_base64 if it isn't UTF-8 */
void put_meta(struct strbuf *out, struct ga_bytes meta);             /* result */
void put_error(struct strbuf *out, const struct ga_client_event *e); /* error: an object, or null */

/* A body as text: as it is, with a newline behind it on a terminal or with `line`. */
void put_raw_body(struct strbuf *out, struct ga_bytes body, bool line);
