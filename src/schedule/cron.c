#include "cron.h"
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum field { MINUTE, HOUR, DAY, MONTH, WEEKDAY, FIELDS };

static const struct field_rule {
	const char *name, *takes;
	unsigned min, max;
	const char *words; /* three letters each, for `min` and on; NULL: numbers only */
} rules[FIELDS] = {
	[MINUTE] = { "minute", "0-59", 0, 59, NULL },
	[HOUR] = { "hour", "0-23", 0, 23, NULL },
	[DAY] = { "day of month", "1-31", 1, 31, NULL },
	[MONTH] = { "month", "1-12 or jan-dec", 1, 12, "janfebmaraprmayjunjulaugsepoctnovdec" },
	[WEEKDAY] = { "day of week", "0-7 or sun-sat, 0 and 7 being Sunday", 0, 7,
		      "sunmontuewedthufrisat" },
};

static const struct {
	const char *word, *fields;
} shorthands[] = {
	{ "@hourly", "0 * * * *" },   { "@daily", "0 0 * * *" },   { "@midnight", "0 0 * * *" },
	{ "@weekly", "0 0 * * 0" },   { "@monthly", "0 0 1 * *" }, { "@yearly", "0 0 1 1 *" },
	{ "@annually", "0 0 1 1 *" },
};

/* What is being read, and where complaints go. */
struct reader {
	const struct field_rule *rule;
	const char *item; /* of the field's list */
	int item_size;
	char *why;
	size_t why_size;
};

static int parse_field(struct reader *r, const char *text, size_t size, uint64_t *ret_bits);
static int parse_item(struct reader *r, uint64_t *bits);
static int check_dates(const struct cron *c, bool days_any, char *why, size_t why_size);

static const char *expand(const char *text)
{
	for (size_t i = 0; i < ARRAY_SIZE(shorthands); i++) {
		if (strcasecmp(text, shorthands[i].word) == 0)
			return shorthands[i].fields;
	}
	return text;
}

/* The next run of characters that are no blanks. */
static const char *next_word(const char **at, size_t *ret_size)
{
	const char *start = *at + strspn(*at, " \t");

	*ret_size = strcspn(start, " \t");
	*at = start + *ret_size;
	return start;
}

static int count_words(const char *text)
{
	size_t size;
	int count = 0;

	while (next_word(&text, &size), size > 0)
		count++;
	return count;
}

int cron_parse(const char *text, struct cron *ret_cron, char *ret_why, size_t why_size)
{
	struct reader r = { .why = ret_why, .why_size = why_size };
	const char *at = expand(text + strspn(text, " \t"));
	uint64_t bits[FIELDS] = { 0 };
	bool any[FIELDS];
	int count = count_words(at);

	if (*at == '@') {
		snprintf(ret_why, why_size,
			 "\"%.20s\": takes @hourly, @daily, @weekly, @monthly or @yearly", at);
		return -EINVAL;
	}
	if (count != FIELDS) {
		snprintf(ret_why, why_size,
			 "takes five fields (minute, hour, day of month, month, day of week), not %d",
			 count);
		return -EINVAL;
	}
	for (int i = 0; i < FIELDS; i++) {
		size_t size;
		const char *word = next_word(&at, &size);

		any[i] = memchr(word, '*', size);
		r.rule = &rules[i];
		int error = parse_field(&r, word, size, &bits[i]);

		if (error < 0)
			return error;
	}
	bits[WEEKDAY] = (bits[WEEKDAY] | bits[WEEKDAY] >> 7) & 0x7f;
	const struct cron c = { .minutes = bits[MINUTE],
				.hours = (uint32_t)bits[HOUR],
				.days = (uint32_t)bits[DAY],
				.months = (uint16_t)bits[MONTH],
				.weekdays = (uint8_t)bits[WEEKDAY],
				.either_day = !any[DAY] && !any[WEEKDAY] };

	if (check_dates(&c, c.either_day, ret_why, why_size) < 0)
		return -EINVAL;
	*ret_cron = c;
	return 0;
}

static int parse_field(struct reader *r, const char *text, size_t size, uint64_t *ret_bits)
{
	const char *end = text + size;

	for (;;) {
		const char *comma = memchr(text, ',', (size_t)(end - text));
		const char *stop = comma ? comma : end;

		r->item = text;
		r->item_size = (int)(stop - text);
		int error = parse_item(r, ret_bits);

		if (error < 0 || !comma)
			return error;
		text = comma + 1;
	}
}

static int complain(const struct reader *r, const char *what, size_t size, const char *advice)
{
	if (size == 0)
		what = "\"\"";
	snprintf(r->why, r->why_size, "%s %.*s: %s%s", r->rule->name,
		 size == 0 ? 2 : (int)MIN(size, (size_t)20), what, advice ? advice : "takes ",
		 advice ? "" : r->rule->takes);
	return -EINVAL;
}

static int complain_of_item(const struct reader *r, const char *advice)
{
	return complain(r, r->item, (size_t)r->item_size, advice);
}

static int as_number(const char *text, size_t size, unsigned *ret_value)
{
	unsigned value = 0;

	if (size == 0)
		return -EINVAL;
	for (size_t i = 0; i < size; i++) {
		if (!isdigit((unsigned char)text[i]) || value > 99)
			return -EINVAL;
		value = value * 10 + (unsigned)(text[i] - '0');
	}
	*ret_value = value;
	return 0;
}

static int as_word(const struct field_rule *rule, const char *text, size_t size, unsigned *ret_value)
{
	if (!rule->words || size != 3)
		return -EINVAL;
	for (unsigned i = 0; rule->words[3 * i]; i++) {
		if (strncasecmp(rule->words + 3 * (size_t)i, text, 3) == 0) {
			*ret_value = rule->min + i;
			return 0;
		}
	}
	return -EINVAL;
}

static int parse_value(const struct reader *r, const char *text, size_t size, unsigned *ret_value)
{
	unsigned value;

	if (as_number(text, size, &value) < 0 && as_word(r->rule, text, size, &value) < 0)
		return complain(r, text, size, NULL);
	if (value < r->rule->min || value > r->rule->max)
		return complain(r, text, size, NULL);
	*ret_value = value;
	return 0;
}

/* `*`, `a` or `a-b`: whether it is more than a single value. */
static int parse_range(const struct reader *r, size_t size, unsigned *ret_from, unsigned *ret_to)
{
	const char *dash = memchr(r->item, '-', size);
	size_t first = dash ? (size_t)(dash - r->item) : size;
	int error;

	if (size == 1 && *r->item == '*') {
		*ret_from = r->rule->min;
		*ret_to = r->rule == &rules[WEEKDAY] ? 6 : r->rule->max;
		return 1;
	}
	error = parse_value(r, r->item, first, ret_from);
	*ret_to = *ret_from;
	if (error < 0 || !dash)
		return error;
	error = parse_value(r, dash + 1, size - first - 1, ret_to);
	if (error < 0)
		return error;
	/* sat-sun */
	if (r->rule == &rules[WEEKDAY] && *ret_to == 0 && *ret_from > 0)
		*ret_to = 7;
	if (*ret_from > *ret_to)
		return complain_of_item(r, "the first is after the last: write it as two ranges");
	return 1;
}

static int parse_item(struct reader *r, uint64_t *bits)
{
	const char *slash = memchr(r->item, '/', (size_t)r->item_size);
	size_t size = slash ? (size_t)(slash - r->item) : (size_t)r->item_size;
	unsigned from = 0, to = 0, step = 1;
	int range = parse_range(r, size, &from, &to);

	if (range < 0)
		return range;
	if (slash && range == 0)
		return complain_of_item(r, "a step follows * or a range, as in */5 or 10-30/5");
	if (slash && (as_number(slash + 1, (size_t)r->item_size - size - 1, &step) < 0 ||
		      step == 0 || step > r->rule->max)) {
		char advice[40];

		snprintf(advice, sizeof(advice), "a step takes 1-%u", r->rule->max);
		return complain_of_item(r, advice);
	}
	for (unsigned i = from; i <= to; i += step)
		*bits |= UINT64_C(1) << i;
	return 0;
}

/* Whether any date of the year fits: with a day of the week alone there always is one. */
static int check_dates(const struct cron *c, bool days_any, char *why, size_t why_size)
{
	static const unsigned char longest[] = { 0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int day = __builtin_ctz(c->days), month = __builtin_ctz(c->months);

	for (int m = 1; m <= 12; m++) {
		if (days_any || (c->months >> m & 1 && day <= longest[m]))
			return 0;
	}
	snprintf(why, why_size, "day %d of month %d never comes: month %d has %u days", day, month,
		 month, longest[month]);
	return -EINVAL;
}
