#include "json_slice.h"

static const char *skip_space(const char *at, const char *end)
{
	while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
		at++;
	return at;
}

/* Behind a string that starts at `at`. */
static const char *skip_string(const char *at, const char *end)
{
	for (at++; at < end && *at != '"'; at++) {
		if (*at == '\\')
			at++;
	}
	return at < end ? at + 1 : end;
}

/* Behind the value that starts at `at`. */
static const char *skip_value(const char *at, const char *end)
{
	unsigned depth = 0;

	while (at < end) {
		char c = *at;

		if (c == '"') {
			at = skip_string(at, end);
		} else if (c == '{' || c == '[') {
			depth++;
			at++;
		} else if (c == '}' || c == ']') {
			if (depth == 0)
				return at;
			depth--;
			at++;
		} else if (depth == 0 && (c == ',' || c == ' ' || c == '\t' || c == '\n' || c == '\r')) {
			return at;
		} else {
			at++;
			continue;
		}
		if (depth == 0)
			return at;
	}
	return end;
}

struct span json_member_text(struct span object, struct span key)
{
	const char *at = object.data, *end = at + object.size;

	at = skip_space(at, end);
	if (at == end || *at++ != '{')
		return (struct span){ 0 };
	for (;;) {
		at = skip_space(at, end);
		if (at == end || *at != '"')
			return (struct span){ 0 };
		const char *name = at + 1;

		at = skip_string(at, end);
		bool found = span_equal((struct span){ name, (size_t)(at - name) - 1 }, key);

		at = skip_space(at, end);
		if (at == end || *at++ != ':')
			return (struct span){ 0 };
		const char *value = skip_space(at, end);

		at = skip_value(value, end);
		if (found)
			return (struct span){ value, (size_t)(at - value) };
		at = skip_space(at, end);
		if (at == end || *at++ != ',')
			return (struct span){ 0 };
	}
}

struct span json_next_element(struct span *rest)
{
	const char *end = rest->data + rest->size, *at = skip_space(rest->data, end);

	/* The opening bracket before the first element, a comma before each other. */
	if (at == end || (*at != '[' && *at != ','))
		return (struct span){ 0 };
	const char *value = skip_space(at + 1, end);

	at = skip_value(value, end);
	*rest = (struct span){ at, (size_t)(end - at) };
	rest->data = skip_space(at, end);
	rest->size = (size_t)(end - rest->data);
	return (struct span){ value, (size_t)(at - value) };
}
