#include "reference.h"
#include "buf.h"
#include "text.h"
#include "type_internal.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define TOKEN_MAX 512   /* bytes of one step of a pointer, and of the place that a message names */
#define WITHIN_MAX 1024 /* bytes of a reference within a string */
#define BODY_DEPTH_MAX 32

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* How many bytes at the start are a whole number without leading zeros; 0: none. */
static size_t index_size(const char *at, const char *end)
{
	const char *start = at;

	while (at < end && is_digit(*at))
		at++;
	return (at - start > 1 && *start == '0') || at - start > 6 ? 0 : (size_t)(at - start);
}

/* "../" any number of times, then places with "/" between them. */
static size_t whose_size(const char *start, const char *end)
{
	const char *at = start;

	while (end - at >= 3 && memcmp(at, "../", 3) == 0)
		at += 3;
	for (;;) {
		size_t size = index_size(at, end);

		if (size == 0)
			return 0;
		at += size;
		if (at == end || *at != '/')
			return (size_t)(at - start);
		at++;
	}
}

static bool pointer_valid(struct span p)
{
	if (p.size > 0 && p.data[0] != '/')
		return false;
	for (size_t i = 0; i < p.size; i++) {
		if (p.data[i] == '~' && (++i == p.size || (p.data[i] != '0' && p.data[i] != '1')))
			return false;
	}
	return true;
}

int reference_parse(struct span text, struct reference *ret_reference)
{
	const char *end = text.data + text.size;
	size_t size = whose_size(text.data, end);
	struct reference ref = { .whose = { text.data, size } };

	if (size == 0 || size == text.size || text.data[size] != '#')
		return -EINVAL;
	ref.pointer = (struct span){ text.data + size + 1, text.size - size - 1 };
	if (!pointer_valid(ref.pointer))
		return -EINVAL;
	*ret_reference = ref;
	return 0;
}

/* The text of {"$ref": text}; NULL: it isn't one. */
static const json_t *reference_text(const json_t *value)
{
	return json_object_size(value) == 1 ? json_object_get(value, "$ref") : NULL;
}

static struct span text_of(const json_t *string)
{
	return (struct span){ json_string_value(string), json_string_length(string) };
}

bool reference_is(const json_t *value)
{
	const json_t *text = reference_text(value);
	struct reference unused;

	return json_is_string(text) && reference_parse(text_of(text), &unused) == 0;
}

/* The next "{{reference}}" at or behind `from`: where it begins, and its size with the braces; NULL: no more. Other
 * braces are text like any other. */
static const char *next_within(struct span text, const char *from, size_t *ret_size,
			       struct reference *ret_reference)
{
	const char *end = text.data + text.size, *open;

	while (from < end && (open = memmem(from, (size_t)(end - from), "{{", 2))) {
		const char *inside = open + 2, *close = NULL;

		/* Looking far for each pair of braces would be quadratic. */
		if (whose_size(inside, end) > 0)
			close = memmem(inside, MIN((size_t)(end - inside), (size_t)WITHIN_MAX),
				       "}}", 2);
		if (close && reference_parse((struct span){ inside, (size_t)(close - inside) },
					     ret_reference) == 0) {
			*ret_size = (size_t)(close + 2 - open);
			return open;
		}
		from = open + 1;
	}
	return NULL;
}

bool reference_within(const json_t *value)
{
	struct reference unused;
	size_t size;

	return json_is_string(value) &&
	       next_within(text_of(value), json_string_value(value), &size, &unused);
}

bool references_possible(struct span text)
{
	/* An escaped '$' or '{' would hide one: then a backslash is in the text. */
	return memmem(text.data, text.size, "$ref", 4) || memmem(text.data, text.size, "{{", 2) ||
	       memmem(text.data, text.size, "\\u00", 4);
}

/* ---- visiting ---- */

struct tour {
	reference_fn visit;
	void *arg;
	struct refusal *r;
	char place[TOKEN_MAX];
	size_t place_size;
};

/* Where the place ended before. */
static size_t place_grew(struct tour *t, int by)
{
	size_t before = t->place_size;

	t->place_size = MIN(before + (size_t)MAX(by, 0), sizeof(t->place) - 1);
	return before;
}

static size_t place_add_key(struct tour *t, const char *key)
{
	return place_grew(t, snprintf(t->place + t->place_size, sizeof(t->place) - t->place_size,
				      ".%s", key));
}

static size_t place_add_index(struct tour *t, size_t index)
{
	return place_grew(t, snprintf(t->place + t->place_size, sizeof(t->place) - t->place_size,
				      "[%zu]", index));
}

static void place_cut(struct tour *t, size_t size)
{
	t->place_size = size;
	t->place[size] = '\0';
}

static int tour_value(struct tour *t, const json_t *value);

static int tour_string(struct tour *t, const json_t *string)
{
	struct span text = text_of(string);
	struct reference ref;
	const char *at = text.data;
	size_t size;
	int error = 0;

	while (error >= 0 && (at = next_within(text, at, &size, &ref))) {
		error = t->visit(t->arg, &ref, t->place, t->r);
		at += size;
	}
	return MIN(error, 0);
}

static int tour_reference(struct tour *t, const json_t *text)
{
	struct reference ref;

	if (!json_is_string(text) || reference_parse(text_of(text), &ref) < 0)
		return refuse(t->r, 422, "bad_reference", t->place,
			      "%.100s: \"$ref\" takes a place in the chain and a JSON Pointer, "
			      "like \"0#/json/token\"",
			      t->place);
	return t->visit(t->arg, &ref, t->place, t->r);
}

static int tour_object(struct tour *t, const json_t *object)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)object, key, value)
	{
		size_t before = place_add_key(t, key);
		int error = tour_value(t, value);

		place_cut(t, before);
		if (error < 0)
			return error;
	}
	return 0;
}

/* As deep as the arguments, which the door bounds. */
static int tour_value(struct tour *t, const json_t *value)
{
	const json_t *text = reference_text(value);

	if (text)
		return tour_reference(t, text);
	if (json_is_string(value))
		return tour_string(t, value);
	if (json_is_object(value))
		return tour_object(t, value);
	for (size_t i = 0; i < json_array_size(value); i++) {
		size_t before = place_add_index(t, i);
		int error = tour_value(t, json_array_get(value, i));

		place_cut(t, before);
		if (error < 0)
			return error;
	}
	return 0;
}

int references_visit(const json_t *args, reference_fn visit, void *arg, struct refusal *r)
{
	struct tour t = { .visit = visit, .arg = arg, .r = r, .place = "args", .place_size = 4 };

	return tour_value(&t, args);
}

/* ---- looking up ---- */

/* One step of a pointer, its escapes undone. False: too long to be a key. */
static bool token_read(struct span *rest, char token[TOKEN_MAX], size_t *ret_size)
{
	const char *at = rest->data + 1, *end = rest->data + rest->size;
	size_t size = 0;

	for (; at < end && *at != '/'; at++) {
		char c = *at;

		if (c == '~')
			c = *++at == '1' ? '/' : '~';
		if (size == TOKEN_MAX - 1)
			return false;
		token[size++] = c;
	}
	token[size] = '\0';
	*rest = (struct span){ at, (size_t)(end - at) };
	*ret_size = size;
	return true;
}

json_t *reference_resolve(const json_t *document, struct span pointer)
{
	json_t *at = (json_t *)(uintptr_t)document;
	char token[TOKEN_MAX];
	size_t size;

	while (at && pointer.size > 0) {
		if (!token_read(&pointer, token, &size))
			return NULL;
		if (json_is_object(at))
			at = json_object_getn(at, token, size);
		else if (json_is_array(at) && size > 0 && index_size(token, token + size) == size)
			at = json_array_get(at, (size_t)strtoul(token, NULL, 10));
		else
			at = NULL;
	}
	return at;
}

json_t *reference_input(struct span meta, struct span body)
{
	json_t *input = json_object(),
	       *tree = meta.size ? json_loadb(meta.data, meta.size, 0, NULL) : NULL;
	int error = tree ? json_object_set_new(input, "meta", tree) : 0;

	if (body.size > 0 && utf8_valid(body.data, body.size) && !memchr(body.data, '\0', body.size)) {
		error |= json_object_set_new(input, "body", json_stringn(body.data, body.size));
	} else if (body.size > 0) {
		char *text = malloc(BASE64_SIZE(body.size));

		if (text)
			base64_encode(body.data, body.size, text);
		error |= json_object_set_new(input, "body_base64", text ? json_string(text) : NULL);
		free(text);
	}
	if (error) {
		json_decref(input);
		return NULL;
	}
	return input;
}

static json_t *body_parsed(const json_t *body)
{
	struct span text = text_of(body);

	if (json_nesting(text) > BODY_DEPTH_MAX)
		return NULL;
	return json_loadb(text.data, text.size, JSON_DECODE_ANY, NULL);
}

/* What pointers go into. */
static json_t *document_new(const json_t *input)
{
	json_t *meta = json_object_get(input, "meta"), *body = json_object_get(input, "body"),
	       *base64 = json_object_get(input, "body_base64");
	json_t *document = json_is_object(meta) ? json_copy(meta) : json_object();
	json_t *parsed = json_is_string(body) ? body_parsed(body) : NULL;

	if (meta)
		json_object_set(document, "meta", meta);
	if (body)
		json_object_set(document, "body", body);
	if (base64)
		json_object_set(document, "body_base64", base64);
	if (parsed)
		json_object_set_new(document, "json", parsed);
	return document;
}

/* ---- filling in ---- */

struct filler {
	const json_t *inputs;
	json_t *documents; /* made when first needed, by `whose` */
	size_t budget;
	struct refusal *r;
};

static json_t *document_of(struct filler *f, struct span whose)
{
	json_t *document = json_object_getn(f->documents, whose.data, whose.size);
	const json_t *input = json_object_getn(f->inputs, whose.data, whose.size);

	if (!document && input) {
		document = document_new(input);
		if (json_object_setn_new(f->documents, whose.data, whose.size, document) < 0)
			return NULL;
	}
	return document;
}

static int spend(struct filler *f, size_t bytes)
{
	if (bytes > f->budget)
		return refuse(f->r, 422, "bad_argument", "args",
			      "with the results that they refer to, the arguments are larger than %u bytes",
			      REFERENCE_BYTES_MAX);
	f->budget -= bytes;
	return 0;
}

static int look_up(struct filler *f, const struct reference *ref, json_t **ret_value)
{
	const json_t *document = document_of(f, ref->whose);
	json_t *value = document ? reference_resolve(document, ref->pointer) : NULL;

	if (!value)
		return refuse(f->r, 422, "bad_argument", "args",
			      "%.*s#%.*s: that result has no such value",
			      (int)MIN(ref->whose.size, (size_t)64), ref->whose.data,
			      (int)MIN(ref->pointer.size, (size_t)128), ref->pointer.data);
	*ret_value = value;
	return spend(f, json_dumpb(value, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY));
}

/* Text as it is; anything else as JSON. */
static int append_value(struct buf *out, const json_t *value)
{
	int error = -ENOMEM;
	char *text;

	if (json_is_string(value))
		return buf_append(out, json_string_value(value), json_string_length(value));
	text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	if (text)
		error = buf_append_text(out, text);
	free(text);
	return error;
}

static int fill_string(struct filler *f, const json_t *string, json_t **ret_filled)
{
	struct span text = text_of(string);
	const char *from = text.data, *end = text.data + text.size, *at;
	struct buf out = BUF_INIT;
	struct reference ref;
	size_t size;
	int error = 0;

	while (error == 0 && (at = next_within(text, from, &size, &ref))) {
		json_t *value;

		error = look_up(f, &ref, &value);
		if (error == 0)
			error = buf_append(&out, from, (size_t)(at - from));
		if (error == 0)
			error = append_value(&out, value);
		from = at + size;
	}
	if (error == 0)
		error = buf_append(&out, from, (size_t)(end - from));
	*ret_filled = error == 0 ? json_stringn(buf_data(&out), buf_size(&out)) : NULL;
	buf_done(&out);
	if (error != -EINVAL && !*ret_filled)
		return refuse(f->r, 503, "no_memory", "args", "no memory to fill in the arguments");
	return error;
}

static int fill_inside(struct filler *f, json_t *value);

/* What a value becomes: a new reference, or NULL if it stays (what is inside may have changed). */
static int fill_value(struct filler *f, json_t *value, json_t **ret_filled)
{
	const json_t *text = reference_text(value);
	struct reference ref;

	*ret_filled = NULL;
	if (json_is_string(text) && reference_parse(text_of(text), &ref) == 0) {
		int error = look_up(f, &ref, ret_filled);

		*ret_filled = error == 0 ? json_incref(*ret_filled) : NULL;
		return error;
	}
	if (reference_within(value))
		return fill_string(f, value, ret_filled);
	return fill_inside(f, value);
}

static int fill_inside(struct filler *f, json_t *value)
{
	json_t *filled;
	int error = 0;

	for (void *at = json_object_iter(value); error == 0 && at;
	     at = json_object_iter_next(value, at)) {
		error = fill_value(f, json_object_iter_value(at), &filled);
		if (filled)
			json_object_iter_set_new(value, at, filled);
	}
	for (size_t i = 0; error == 0 && i < json_array_size(value); i++) {
		error = fill_value(f, json_array_get(value, i), &filled);
		if (filled)
			json_array_set_new(value, i, filled);
	}
	return error;
}

int references_fill(json_t *args, const json_t *inputs, struct refusal *r)
{
	struct filler f = {
		.inputs = inputs, .documents = json_object(), .budget = REFERENCE_BYTES_MAX, .r = r
	};
	int error = fill_inside(&f, args);

	json_decref(f.documents);
	return error;
}
