#include "results.h"
#include "output.h"
#include "session.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool event_ok(const struct ga_client_event *e)
{
	return e->kind == GA_EVENT_ACCEPTED ||
	       (e->kind == GA_EVENT_FINISHED && e->state == GA_SUCCEEDED);
}

const char *state_name(const struct ga_client_event *e)
{
	if (e->kind == GA_EVENT_REFUSED)
		return "refused";
	if (e->kind == GA_EVENT_ACCEPTED)
		return "ready";
	return e->state == GA_SUCCEEDED ? "succeeded"
	       : e->state == GA_FAILED  ? "failed"
	       : e->state == GA_EXPIRED ? "expired"
					: "cancelled";
}

static bool is(struct ga_bytes bytes, const char *text)
{
	return bytes.size == strlen(text) && memcmp(bytes.data, text, bytes.size) == 0;
}

void put_reason(struct strbuf *out, const struct ga_client_event *e)
{
	if (e->field.size && !memmem(e->message.data, e->message.size, e->field.data, e->field.size)) {
		sb_head(out, e->field.data, e->field.size, UINT64_MAX);
		sb_text(out, ": ");
	}
	/* A handler's or a server's words: a terminal is not to obey them. */
	if (e->message.size)
		sb_head(out, e->message.data, e->message.size, UINT64_MAX);
	else if (e->code.size)
		sb_head(out, e->code.data, e->code.size, UINT64_MAX);
	else
		sb_text(out, state_name(e));
}

void event_kind(const struct ga_client_event *e, char kind[64])
{
	int64_t status;

	if (e->kind == GA_EVENT_FINISHED && meta_integer(e->meta, "status", &status) &&
	    !is(e->code, "timeout"))
		snprintf(kind, 64, "http %" PRId64, status);
	else if (e->code.size)
		snprintf(kind, 64, "%.*s", (int)(e->code.size < 63 ? e->code.size : 63), e->code.data);
	else
		snprintf(kind, 64, "%s", state_name(e));
}

int event_status(const struct ga_client_event *e)
{
	if (event_ok(e))
		return STATUS_OK;
	if (e->kind == GA_EVENT_REFUSED)
		return status_of_http(e->status);
	return is(e->code, "timeout") ? STATUS_PENDING : STATUS_FAILED;
}

/* Behind the string that starts at p (its opening quote), or NULL. */
static const char *skip_string(const char *p, const char *end)
{
	for (p++; p < end; p++) {
		if (*p == '\\')
			p++;
		else if (*p == '"')
			return p + 1;
	}
	return NULL;
}

/* The metadata is the daemon's own JSON, so this looks for strings and depth only, and never past its end. */
bool meta_integer(struct ga_bytes meta, const char *key, int64_t *ret_value)
{
	const char *p = meta.data, *end = p + meta.size;
	size_t key_size = strlen(key);
	int depth = 0;

	while (p < end) {
		const char *start = p;
		char digits[24] = "";

		if (*p == '{' || *p == '[')
			depth++;
		if (*p == '}' || *p == ']')
			depth--;
		if (*p != '"') {
			p++;
			continue;
		}
		p = skip_string(p, end);
		if (!p)
			return false;
		while (p < end && *p == ' ')
			p++;
		if (depth != 1 || p == end || *p != ':' || strncmp(start + 1, key, key_size) ||
		    start[1 + key_size] != '"')
			continue;
		for (size_t n = 0; ++p < end && n < sizeof(digits) - 1 && strchr("-0123456789 ", *p);)
			digits[n++] = *p;
		if (!digits[strspn(digits, " -")])
			return false;
		*ret_value = strtoll(digits, NULL, 10);
		return true;
	}
	return false;
}

void put_outcome(struct strbuf *out, const struct ga_client_event *e)
{
	if (e->id[0]) {
		sb_text(out, ",\"id\":\"");
		sb_text(out, e->id);
		sb_char(out, '"');
	}
	sb_text(out, ",\"state\":\"");
	sb_text(out, state_name(e));
	sb_char(out, '"');
	if (e->kind != GA_EVENT_FINISHED)
		return;
	sb_text(out, ",\"attempts\":");
	sb_unsigned(out, e->attempts);
	sb_text(out, ",\"elapsed_ms\":");
	sb_milliseconds(out, e->elapsed_us);
}

void put_body(struct strbuf *out, struct ga_bytes body)
{
	size_t before = out->size;

	sb_text(out, ",\"body\":");
	if (sb_json(out, body.data, body.size))
		return;
	out->size = before;
	sb_text(out, ",\"body_base64\":\"");
	sb_base64(out, body.data, body.size);
	sb_char(out, '"');
}

void put_meta(struct strbuf *out, struct ga_bytes meta)
{
	sb_text(out, ",\"result\":");
	if (meta.size)
		sb_put(out, meta.data, meta.size);
	else
		sb_text(out, "{}");
}

void put_error(struct strbuf *out, const struct ga_client_event *e)
{
	if (event_ok(e)) {
		sb_text(out, ",\"error\":null");
		return;
	}
	sb_text(out, ",\"error\":{\"code\":");
	if (e->code.size)
		sb_json_lossy(out, e->code.data, e->code.size);
	else
		sb_printf(out, "\"%s\"", state_name(e));
	if (e->field.size) {
		sb_text(out, ",\"field\":");
		sb_json_lossy(out, e->field.data, e->field.size);
	}
	sb_text(out, ",\"message\":");
	sb_json_lossy(out, e->message.data, e->message.size);
	sb_char(out, '}');
}

void put_raw_body(struct strbuf *out, struct ga_bytes body, bool line)
{
	sb_put(out, body.data, body.size);
	if (body.size && body.data[body.size - 1] != '\n' && (line || output_is_terminal()))
		sb_char(out, '\n');
}
