#include "fetch_args.h"
#include "arguments.h"
#include "period.h"
#include "results.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

static struct {
	const char *method, *data, *follow, *max_body;
	struct words headers;
	bool no_verify;
} given;

const struct flag fetch_flags[] = {
	{ "method", 'X', "METHOD", "GET, or POST with --data", .text = &given.method },
	{ "header", 'H', "'NAME: VALUE'", "a header; may be repeated", .list = &given.headers },
	{ "data", 'd', "TEXT", "send a body; @FILE: a file's", .text = &given.data },
	{ "follow", 0, "N", "follow so many redirects (5)", .text = &given.follow },
	{ "max-body", 0, "SIZE", "refuse larger bodies (1MiB)", .text = &given.max_body },
	{ "no-verify", 0, NULL, "take any TLS certificate", .on = &given.no_verify },
	{ 0 },
};

static void put_text(struct strbuf *out, const char *key, const char *value)
{
	sb_printf(out, ",\"%s\":", key);
	sb_json_lossy(out, value, strlen(value));
}

static bool put_headers(struct strbuf *out, char *why, size_t why_size)
{
	for (size_t i = 0; i < given.headers.count; i++) {
		const char *header = given.headers.item[i];
		const char *colon = strchr(header, ':');
		const char *value = colon ? colon + 1 : NULL;

		if (!colon || colon == header) {
			snprintf(why, why_size, "--header takes 'Name: value', not '%s'", header);
			return false;
		}
		while (isspace((unsigned char)*value))
			value++;
		sb_text(out, i ? "," : ",\"headers\":{");
		sb_json_lossy(out, header, (size_t)(colon - header));
		sb_char(out, ':');
		sb_json_lossy(out, value, strlen(value));
	}
	if (given.headers.count)
		sb_char(out, '}');
	return true;
}

/* --data TEXT or --data @FILE is the argument body=TEXT or body=@FILE. */
static bool put_data(struct strbuf *out, char *why, size_t why_size)
{
	struct arguments a = { 0 };
	struct strbuf word = { 0 };
	bool good;

	if (!given.data)
		return true;
	if (!given.method)
		put_text(out, "method", "POST");
	sb_printf(&word, "body=%s", given.data);
	good = arguments_add(&a, sb_string(&word), false, why, why_size);
	if (good)
		put_body(out, (struct ga_bytes){ a.item[0].value.data, a.item[0].value.size });
	sb_free(&word);
	arguments_free(&a);
	return good;
}

bool fetch_args_init(struct fetch_args *a, char *why, size_t why_size)
{
	int64_t follow = 0;

	if (given.method)
		put_text(&a->rest, "method", given.method);
	if (!put_headers(&a->rest, why, why_size) || !put_data(&a->rest, why, why_size))
		return false;
	if (given.follow && !number_parse(given.follow, 0, 50, &follow)) {
		snprintf(why, why_size, "--follow takes a number from 0 to 50, not '%s'", given.follow);
		return false;
	}
	if (given.follow)
		sb_printf(&a->rest, ",\"follow\":%d", (int)follow);
	if (given.max_body && json_number(given.max_body, strlen(given.max_body)))
		sb_printf(&a->rest, ",\"max_body\":%s", given.max_body);
	else if (given.max_body)
		put_text(&a->rest, "max_body", given.max_body);
	if (given.no_verify)
		sb_text(&a->rest, ",\"verify\":false");
	return true;
}

void fetch_args_done(struct fetch_args *a)
{
	sb_free(&a->rest);
	words_free(&given.headers);
}

bool fetch_args_write(const struct fetch_args *a, const char *url, size_t size, struct strbuf *out)
{
	sb_text(out, "{\"url\":");
	if (!sb_json(out, url, size))
		return false;
	sb_put(out, a->rest.data, a->rest.size);
	sb_char(out, '}');
	return true;
}
