#include "http_request.h"

#include "http_text.h"
#include <errno.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int build_url(ga_job *job, struct http_build *b);
static int build_headers(ga_job *job, struct http_build *b);
static int build_body(ga_job *job, struct http_build *b);

int http_build(ga_job *job, struct http_build *b)
{
	int error;

	memset(&b->request, 0, sizeof(b->request));
	b->owned_count = 0;
	b->request.method = ga_job_text(job, "method");
	b->request.headers = b->headers;
	b->request.follow = (unsigned)ga_job_integer(job, "follow");
	b->request.max_body = (size_t)ga_job_integer(job, "max_body");
	b->request.insecure = !ga_job_boolean(job, "verify");
	b->request.discard_body = strcmp(ga_job_text(job, "save"), "body") != 0;
	error = build_url(job, b);
	if (error == 0)
		error = build_headers(job, b);
	return error < 0 ? error : build_body(job, b);
}

void http_build_done(struct http_build *b)
{
	while (b->owned_count > 0)
		free(b->owned[--b->owned_count]);
}

/* Keep a text until http_build_done(); NULL stays NULL. */
static char *own(struct http_build *b, char *text)
{
	if (text)
		b->owned[b->owned_count++] = text;
	return text;
}

static int no_memory(ga_job *job)
{
	return ga_job_fail_retry(job, 0, "no_memory", "the worker is out of memory");
}

/* ---- fields: params and form ---- */

/* 0.1 as 0.1: with the fewest digits that give the same number again. */
static void real_text(double value, char *out, size_t out_size)
{
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(out, out_size, "%.*g", digits, value);
		if (strtod(out, NULL) == value)
			return;
	}
}

/* A scalar as people write it, into `out` unless it is a string already. NULL: an object or an array. */
static const char *scalar_text(const json_t *value, char *out, size_t out_size)
{
	switch (json_typeof(value)) {
	case JSON_STRING:
		return json_string_value(value);
	case JSON_INTEGER:
		snprintf(out, out_size, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		return out;
	case JSON_REAL:
		real_text(json_real_value(value), out, out_size);
		return out;
	case JSON_TRUE:
		return "true";
	case JSON_FALSE:
		return "false";
	case JSON_NULL:
		return "";
	default:
		return NULL;
	}
}

static bool put_field(struct text *t, const char *name, const json_t *value, bool form)
{
	char scalar[40];
	const char *shown = scalar_text(value, scalar, sizeof(scalar));

	if (!shown)
		return false;
	if (t->size && !strchr("?&", t->data[t->size - 1]))
		text_put(t, "&", 1);
	text_put_percent(t, name, form);
	text_put(t, "=", 1);
	text_put_percent(t, shown, form);
	return true;
}

/* name=value&name=value...; a list gives its name once for each element. */
static int put_fields(ga_job *job, struct text *t, const char *argument, const json_t *fields)
{
	bool form = strcmp(argument, "form") == 0;
	const json_t *element;
	const char *name;
	json_t *value;
	size_t i;

	json_object_foreach((json_t *)(uintptr_t)fields, name, value)
	{
		bool good = true;

		if (json_is_array(value)) {
			json_array_foreach(value, i, element)
				good = good && put_field(t, name, element, form);
		} else {
			good = put_field(t, name, value, form);
		}
		if (!good)
			return ga_job_fail(job, "bad_argument",
					   "%s.%s takes a text, a number, a boolean or a list of those",
					   argument, name);
	}
	return 0;
}

/* The URL with `params` behind what query it has, before the fragment. */
static int build_url(ga_job *job, struct http_build *b)
{
	const char *url = ga_job_text(job, "url");
	const json_t *params = ga_job_json(job, "params");
	struct text t = { 0 };
	size_t head;
	int error;

	b->request.url = url;
	if (!params || json_object_size(params) == 0)
		return 0;
	head = strcspn(url, "#");
	text_put(&t, url, head);
	if (!memchr(url, '?', head))
		text_put(&t, "?", 1);
	error = put_fields(job, &t, "params", params);
	b->request.url = own(b, text_end(&t));
	if (error < 0)
		return error;
	return b->request.url ? 0 : no_memory(job);
}

/* ---- headers ---- */

static int add_header(ga_job *job, struct http_build *b, const char *name, const char *value)
{
	if (b->request.header_count == HTTP_HEADERS_MAX)
		return ga_job_fail(job, "bad_argument", "headers takes at most %d", HTTP_HEADERS_MAX);
	if (strpbrk(name, "\r\n") || strpbrk(value, "\r\n"))
		return ga_job_fail(job, "bad_argument",
				   "headers: a line break in a header would make two of it");
	b->headers[b->request.header_count++] = (struct ga_http_header){ name, value };
	return 0;
}

static int add_header_value(ga_job *job, struct http_build *b, const char *name, const json_t *value)
{
	char number[40];
	const char *shown = scalar_text(value, number, sizeof(number));

	if (!shown || json_is_null(value))
		return ga_job_fail(job, "bad_argument",
				   "headers.%s takes a text, a number or a list of those", name);
	if (shown == number && b->request.header_count < HTTP_HEADERS_MAX) {
		shown = own(b, strdup(number));
		if (!shown)
			return no_memory(job);
	}
	return add_header(job, b, name, shown);
}

static int build_headers(ga_job *job, struct http_build *b)
{
	json_t *headers = ga_job_json(job, "headers"), *value;
	const json_t *element;
	const char *name;
	int error = 0;
	size_t i;

	json_object_foreach(headers, name, value)
	{
		if (json_is_array(value)) {
			json_array_foreach(value, i, element)
				error = error < 0 ? error : add_header_value(job, b, name, element);
		} else {
			error = add_header_value(job, b, name, value);
		}
		if (error < 0)
			return error;
	}
	return 0;
}

/* Say what the body is, unless the job does. */
static void add_content_type(struct http_build *b, const char *type)
{
	for (size_t i = 0; i < b->request.header_count; i++)
		if (strcasecmp(b->headers[i].name, "Content-Type") == 0)
			return;
	b->headers[b->request.header_count++] = (struct ga_http_header){ "Content-Type", type };
}

/* ---- the body ---- */

static int set_body(ga_job *job, struct http_build *b, char *body, size_t size, const char *type)
{
	if (!own(b, body))
		return no_memory(job);
	b->request.body = body;
	b->request.body_bytes = size;
	add_content_type(b, type);
	return 0;
}

/* As JSON, with numbers like real_text()'s. NULL: no memory. */
static char *json_text(const json_t *value)
{
	for (size_t digits = 15; digits < 17; digits++) {
		char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY |
						       JSON_REAL_PRECISION(digits));
		json_t *again = text ? json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL) : NULL;
		bool same = json_equal(value, again);

		json_decref(again);
		if (same || !text)
			return text;
		free(text);
	}
	return json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
}

static int build_json(ga_job *job, struct http_build *b)
{
	char *text = json_text(ga_job_json(job, "json"));

	return set_body(job, b, text, text ? strlen(text) : 0, "application/json");
}

static int build_form(ga_job *job, struct http_build *b)
{
	struct text t = { 0 };
	int error = put_fields(job, &t, "form", ga_job_json(job, "form"));
	size_t size = t.size;
	char *text = text_end(&t);

	if (error < 0) {
		free(text);
		return error;
	}
	return set_body(job, b, text, size, "application/x-www-form-urlencoded");
}

static int build_text(ga_job *job, struct http_build *b)
{
	b->request.body = ga_job_text(job, "body");
	b->request.body_bytes = strlen(b->request.body);
	add_content_type(b, "text/plain; charset=utf-8");
	return 0;
}

static int build_base64(ga_job *job, struct http_build *b)
{
	const char *text = ga_job_text(job, "body_base64");
	size_t size = strlen(text), padding = 0;
	unsigned char *body = malloc(size / 4 * 3 + 1);
	int decoded = -1;

	if (!body)
		return no_memory(job);
	/* OpenSSL skips blanks around the text and takes padding as zeros: neither is wanted. */
	if (size % 4 == 0 &&
	    strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=") == size)
		decoded = EVP_DecodeBlock(body, (const unsigned char *)text, (int)size);
	while (padding < 2 && padding < size && text[size - 1 - padding] == '=')
		padding++;
	if (decoded < 0 || strcspn(text, "=") != size - padding) {
		free(body);
		return ga_job_fail(job, "bad_argument", "body_base64 takes base64 with its padding");
	}
	return set_body(job, b, (char *)body, (size_t)decoded - padding, "application/octet-stream");
}

static int build_body(ga_job *job, struct http_build *b)
{
	static const struct {
		const char *argument;
		int (*build)(ga_job *job, struct http_build *b);
	} kinds[] = {
		{ "json", build_json },
		{ "form", build_form },
		{ "body", build_text },
		{ "body_base64", build_base64 },
	};
	int given = -1;

	for (int i = 0; i < 4; i++) {
		if (!ga_job_has(job, kinds[i].argument))
			continue;
		if (given >= 0)
			return ga_job_fail(job, "bad_argument",
					   "%s and %s: give one of json, form, body, body_base64",
					   kinds[given].argument, kinds[i].argument);
		given = i;
	}
	return given < 0 ? 0 : kinds[given].build(job, b);
}
