#include "arguments.h"
#include "period.h"
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX ((size_t)1 << 20)

static bool read_file(const char *path, struct strbuf *out, char *why, size_t why_size);
static bool is_json(const char *text, size_t size, char *why, size_t why_size);
static struct argument *add(struct arguments *a, const char *name, size_t length);

bool arguments_add(struct arguments *a, const char *word, bool lines, char *why, size_t why_size)
{
	size_t length = strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				     "0123456789_.-");
	bool verbatim = word[length] == ':' && word[length + 1] == '=';
	const char *text = word + length + 1 + verbatim;
	struct argument *arg;
	char name[65];

	if (length == 0 || length >= sizeof(name) || (!verbatim && word[length] != '=')) {
		snprintf(why, why_size,
			 "'%s' is not an argument: name=value, name:=JSON or name=@FILE", word);
		return false;
	}
	memcpy(name, word, length);
	name[length] = '\0';
	if (arguments_find(a, name)) {
		snprintf(why, why_size, "%s is given twice", name);
		return false;
	}
	arg = add(a, name, length);
	arg->verbatim = verbatim;
	if (lines && strcmp(text, "@-") == 0) {
		snprintf(why, why_size, "%s: standard input is the list already", name);
		return false;
	}
	if (text[0] == '@') {
		if (!read_file(text + 1, &arg->value, why, why_size))
			return false;
	} else {
		sb_text(&arg->value, text);
		arg->has_line = lines && strstr(text, "{}");
	}
	if (verbatim && !arg->has_line) {
		char reason[160];

		if (is_json(arg->value.data, arg->value.size, reason, sizeof(reason)))
			return true;
		snprintf(why, why_size, "%s: not JSON: %s", name, reason);
		return false;
	}
	return true;
}

void arguments_free(struct arguments *a)
{
	for (size_t i = 0; i < a->count; i++) {
		free(a->item[i].name);
		sb_free(&a->item[i].value);
	}
	free(a->item);
	*a = (struct arguments){ 0 };
}

struct argument *arguments_find(const struct arguments *a, const char *name)
{
	for (size_t i = 0; i < a->count; i++) {
		if (strcmp(a->item[i].name, name) == 0)
			return &a->item[i];
	}
	return NULL;
}

void arguments_add_line(struct arguments *a, const char *name)
{
	struct argument *arg = add(a, name, strlen(name));

	sb_text(&arg->value, "{}");
	arg->has_line = true;
}

static struct argument *add(struct arguments *a, const char *name, size_t length)
{
	struct argument *item = realloc(a->item, (a->count + 1) * sizeof(*item));
	char *copy = strndup(name, length);

	if (!item || !copy) {
		fputs("gather: out of memory\n", stderr);
		exit(STATUS_FAILED);
	}
	a->item = item;
	item[a->count] = (struct argument){ .name = copy };
	return &item[a->count++];
}

static bool read_file(const char *path, struct strbuf *out, char *why, size_t why_size)
{
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	bool fits;

	if (f) {
		out->size = fread(sb_reserve(out, FILE_MAX + 1), 1, FILE_MAX + 1, f);
		fits = out->size <= FILE_MAX;
		if (ferror(f))
			snprintf(why, why_size, "%s: %s", path, strerror(errno));
		else if (!fits)
			snprintf(why, why_size, "%s: larger than 1 MiB", path);
		fits = fits && !ferror(f);
		if (f != stdin)
			fclose(f);
		return fits;
	}
	snprintf(why, why_size, "%s: %s", path, strerror(errno));
	return false;
}

static bool is_json(const char *text, size_t size, char *why, size_t why_size)
{
	json_error_t error;
	json_t *value = json_loadb(text, size, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);

	if (!value)
		snprintf(why, why_size, "%s", error.text);
	json_decref(value);
	return value;
}

enum shape shape_of(const char *param_type)
{
	static const struct {
		const char *type;
		enum shape shape;
	} shapes[] = { { "integer", SHAPE_NUMBER },  { "number", SHAPE_NUMBER },
		       { "duration", SHAPE_NUMBER }, { "size", SHAPE_NUMBER },
		       { "boolean", SHAPE_BOOLEAN }, { "object", SHAPE_JSON },
		       { "array", SHAPE_JSON } };

	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		if (strcmp(param_type, shapes[i].type) == 0)
			return shapes[i].shape;
	}
	return SHAPE_TEXT;
}

/* Whether the text, taken as the parameter's kind, is JSON already. If not, it travels as a string and is refused
 * with a sentence by the daemon, which knows the parameter. */
static bool stands_bare(enum shape shape, const char *text, size_t size)
{
	char why[1];

	switch (shape) {
	case SHAPE_NUMBER:
		return json_number(text, size);
	case SHAPE_BOOLEAN:
		return (size == 4 && !memcmp(text, "true", 4)) ||
		       (size == 5 && !memcmp(text, "false", 5));
	case SHAPE_JSON:
		return size > 0 && is_json(text, size, why, sizeof(why));
	default:
		return false;
	}
}

static bool write_value(const struct argument *arg, const struct strbuf *value, struct strbuf *out,
			char *why, size_t why_size)
{
	char reason[160];

	/* A line is data: it may not end the value and begin arguments of its own. */
	if (arg->verbatim && arg->has_line &&
	    !is_json(value->data, value->size, reason, sizeof(reason))) {
		snprintf(why, why_size, "%s: not JSON with this line in it: %s", arg->name, reason);
		return false;
	}
	if (arg->verbatim || stands_bare(arg->shape, value->data, value->size)) {
		sb_put(out, value->data, value->size);
		return true;
	}
	if (sb_json(out, value->data, value->size))
		return true;
	snprintf(why, why_size, "%s: not UTF-8 text", arg->name);
	return false;
}

bool arguments_write(const struct arguments *a, const char *line, size_t line_size,
		     struct strbuf *out, char *why, size_t why_size)
{
	struct strbuf filled = { 0 };
	bool valid = true;

	sb_char(out, '{');
	for (size_t i = 0; i < a->count && valid; i++) {
		const struct argument *arg = &a->item[i];
		const struct strbuf *value = &arg->value;

		sb_printf(out, "%s\"%s\":", i ? "," : "", arg->name);
		if (arg->has_line) {
			filled.size = 0;
			argument_fill(arg, line, line_size, &filled);
			value = &filled;
		}
		valid = write_value(arg, value, out, why, why_size);
	}
	sb_char(out, '}');
	sb_free(&filled);
	return valid;
}

/* In JSON text, {} inside a string is replaced by the line with its special characters escaped. */
void argument_fill(const struct argument *arg, const char *line, size_t line_size, struct strbuf *out)
{
	const char *p = arg->value.data, *end = p + arg->value.size;
	bool in_string = false;

	for (; p < end; p++) {
		if (arg->has_line && end - p >= 2 && p[0] == '{' && p[1] == '}') {
			if (arg->verbatim && in_string) {
				size_t at = out->size;

				sb_json_lossy(out, line, line_size);
				/* Without its quotes. */
				memmove(out->data + at, out->data + at + 1, out->size - at - 2);
				out->size -= 2;
			} else {
				sb_put(out, line, line_size);
			}
			p++;
			continue;
		}
		if (*p == '"')
			in_string = !in_string;
		if (*p == '\\' && in_string && end - p > 1)
			sb_char(out, *p++);
		sb_char(out, *p);
	}
}
