#include "urlglob.h"
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT_MAX UINT64_C(1000000000)

/* One part: the literal text before it, then a set of words, a range of numbers, a range of letters, or nothing. */
struct part {
	char *before;
	char **words;
	uint64_t count; /* of its values; 1 at the end of the URL */
	uint64_t first, step;
	int digits; /* numbers are padded to so many */
	bool letters, end;
};

struct urlglob {
	struct part *parts;
	size_t size;
	uint64_t count;
};

static bool parse(struct urlglob *g, const char *text, bool literal, char *why, size_t why_size);
static const char *parse_range(struct part *part, const char *text);
static const char *parse_set(struct part *part, const char *text);
static size_t address_length(const char *start, const char *bracket);

struct urlglob *urlglob_new(const char *text, bool literal, char *why, size_t why_size)
{
	struct urlglob *g = calloc(1, sizeof(*g));

	if (g && parse(g, text, literal, why, why_size))
		return g;
	if (!g)
		snprintf(why, why_size, "out of memory");
	urlglob_free(g);
	return NULL;
}

void urlglob_free(struct urlglob *g)
{
	if (!g)
		return;
	for (size_t i = 0; i < g->size; i++) {
		for (uint64_t j = 0; g->parts[i].words && j < g->parts[i].count; j++)
			free(g->parts[i].words[j]);
		free(g->parts[i].words);
		free(g->parts[i].before);
	}
	free(g->parts);
	free(g);
}

uint64_t urlglob_count(const struct urlglob *g)
{
	return g->count;
}

static void write_value(const struct part *part, uint64_t value, struct strbuf *out)
{
	if (part->words)
		sb_text(out, part->words[value]);
	else if (part->letters)
		sb_char(out, (char)(part->first + value * part->step));
	else if (!part->end)
		sb_printf(out, "%0*" PRIu64, part->digits, part->first + value * part->step);
}

void urlglob_write(const struct urlglob *g, uint64_t index, struct strbuf *out)
{
	uint64_t weight = g->count;

	for (size_t i = 0; i < g->size; i++) {
		weight /= g->parts[i].count;
		sb_text(out, g->parts[i].before);
		write_value(&g->parts[i], index / weight % g->parts[i].count, out);
	}
}

static struct part *add_part(struct urlglob *g)
{
	struct part *parts = realloc(g->parts, (g->size + 1) * sizeof(*parts));

	if (!parts)
		return NULL;
	g->parts = parts;
	parts[g->size] = (struct part){ .count = 1, .end = true };
	return &parts[g->size++];
}

/* Literal text up to the next pattern or the end. */
static const char *parse_literal(const char *start, const char *p, bool literal, struct strbuf *out)
{
	while (*p) {
		size_t address = *p == '[' ? address_length(start, p) : 0;

		if (address && !literal) {
			sb_put(out, p, address);
			p += address;
			continue;
		}
		if (!literal && strchr("[]{}", *p))
			break;
		if (!literal && *p == '\\' && p[1])
			p++;
		sb_char(out, *p++);
	}
	return p;
}

static bool parse(struct urlglob *g, const char *text, bool literal, char *why, size_t why_size)
{
	const char *p = text, *next;

	g->count = 1;
	for (;;) {
		struct strbuf before = { 0 };
		struct part *part = add_part(g);

		if (!part)
			return false;
		p = parse_literal(text, p, literal, &before);
		sb_string(&before);
		part->before = before.data;
		if (!*p)
			return true;
		part->end = false;
		next = *p == '['   ? parse_range(part, p + 1)
		       : *p == '{' ? parse_set(part, p + 1)
				   : NULL;
		if (!next) {
			snprintf(why, why_size,
				 "column %d: expected [1-9], [a-z] or {one,two}; "
				 "--globoff takes it as it is",
				 (int)(p - text) + 1);
			return false;
		}
		if (part->count > COUNT_MAX / g->count) {
			snprintf(why, why_size, "stands for more than %" PRIu64 " URLs", COUNT_MAX);
			return false;
		}
		g->count *= part->count;
		p = next;
	}
}

/* An IPv6 address (it has two colons, a range at most one) right behind "://" or "user@": its length with both
 * brackets, or 0. */
static size_t address_length(const char *start, const char *bracket)
{
	bool host = bracket - start >= 3 && (!memcmp(bracket - 3, "://", 3) || bracket[-1] == '@');
	size_t length = strcspn(bracket, "]"), colons = 0;

	for (size_t i = 0; i < length; i++)
		colons += bracket[i] == ':';
	return host && bracket[length] && colons > 1 ? length + 1 : 0;
}

static const char *parse_number(const char *p, uint64_t *ret_value)
{
	uint64_t value = 0;
	size_t digits = 0;

	for (; isdigit((unsigned char)*p) && digits < 18; p++, digits++)
		value = value * 10 + (uint64_t)(*p - '0');
	*ret_value = value;
	return digits ? p : NULL;
}

static const char *parse_range(struct part *part, const char *p)
{
	const char *from = p;
	uint64_t last;

	part->letters = isalpha((unsigned char)*p);
	if (part->letters) {
		part->first = (unsigned char)*p++;
	} else {
		p = parse_number(p, &part->first);
		if (!p)
			return NULL;
		part->digits = from[0] == '0' ? (int)(p - from) : 1;
	}
	if (*p++ != '-')
		return NULL;
	if (part->letters) {
		last = (unsigned char)*p++;
		/* Both small or both capital. */
		if (!isalpha((int)last) || ((last ^ part->first) & 0x20))
			return NULL;
	} else {
		p = parse_number(p, &last);
		if (!p)
			return NULL;
	}
	part->step = 1;
	if (*p == ':')
		p = parse_number(p + 1, &part->step);
	if (!p || *p != ']' || last < part->first || part->step == 0)
		return NULL;
	part->count = (last - part->first) / part->step + 1;
	return p + 1;
}

static const char *parse_set(struct part *part, const char *p)
{
	part->count = 0;
	for (;;) {
		struct strbuf word = { 0 };
		char **words;

		for (; *p && *p != ',' && *p != '}'; p++) {
			if (strchr("[]{", *p)) {
				sb_free(&word);
				return NULL;
			}
			if (*p == '\\' && p[1])
				p++;
			sb_char(&word, *p);
		}
		words = *p ? realloc(part->words, (part->count + 1) * sizeof(*words)) : NULL;
		if (!words) {
			sb_free(&word);
			return NULL;
		}
		sb_string(&word);
		part->words = words;
		words[part->count++] = word.data;
		if (*p++ == '}')
			return p;
	}
}
