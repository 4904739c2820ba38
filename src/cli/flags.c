#include "flags.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_LENGTH 32

static int parse_flag(int at, int argc, char *const *argv, const struct flag *const tables[],
		      char *why, size_t why_size);

void words_add(struct words *w, const char *word)
{
	const char **item = realloc(w->item, (w->count + 1) * sizeof(*item));

	if (!item) {
		fputs("gather: out of memory\n", stderr);
		exit(1);
	}
	w->item = item;
	item[w->count++] = word;
}

void words_free(struct words *w)
{
	free(w->item);
	*w = (struct words){ 0 };
}

int flags_parse(int argc, char *const *argv, const struct flag *const tables[FLAG_TABLES],
		bool stop_at_operand, struct parsed *parsed, char *why, size_t why_size)
{
	bool operands_only = false;
	int i = 0;

	while (i < argc) {
		const char *word = argv[i];
		int next;

		if (!operands_only && strcmp(word, "--") == 0) {
			operands_only = true;
			i++;
		} else if (operands_only || word[0] != '-' || !word[1]) {
			if (stop_at_operand)
				return i;
			words_add(&parsed->operands, argv[i++]);
		} else {
			next = parse_flag(i, argc, argv, tables, why, why_size);
			if (next < 0)
				return -1;
			while (i < next)
				words_add(&parsed->flags, argv[i++]);
		}
	}
	return argc;
}

static const struct flag *find_name(const struct flag *const tables[], const char *name, size_t length)
{
	for (int t = 0; t < FLAG_TABLES && tables[t]; t++) {
		for (const struct flag *f = tables[t]; f->name; f++) {
			if (strlen(f->name) == length && !memcmp(f->name, name, length))
				return f;
		}
	}
	return NULL;
}

static const struct flag *find_letter(const struct flag *const tables[], char letter)
{
	for (int t = 0; t < FLAG_TABLES && tables[t]; t++) {
		for (const struct flag *f = tables[t]; f->name; f++) {
			if (f->letter == letter)
				return f;
		}
	}
	return NULL;
}

/* All names of all tables as one list, for nearest_name(). */
static const char *name_at(const void *arg, size_t index)
{
	const struct flag *const *tables = arg;

	for (int t = 0; t < FLAG_TABLES && tables[t]; t++) {
		for (const struct flag *f = tables[t]; f->name; f++) {
			if (index-- == 0)
				return f->name;
		}
	}
	return NULL;
}

static void unknown_flag(const struct flag *const tables[], const char *word, size_t length,
			 char *why, size_t why_size)
{
	char name[NAME_MAX_LENGTH] = "";
	size_t count = 0;
	const char *near = NULL;

	while (name_at(tables, count))
		count++;
	if (length > 2 && length - 2 < sizeof(name)) {
		memcpy(name, word + 2, length - 2);
		near = nearest_name(name, name_at, tables, count);
	}
	snprintf(why, why_size, near ? "there is no %.*s; did you mean --%s?" : "there is no %.*s",
		 (int)length, word, near);
}

static void give(const struct flag *f, const char *value)
{
	if (f->on)
		*f->on = true;
	if (f->text)
		*f->text = value;
	if (f->list)
		words_add(f->list, value);
}

/* The index behind the flag and its value, or -1. */
static int parse_flag(int at, int argc, char *const *argv, const struct flag *const tables[],
		      char *why, size_t why_size)
{
	const char *word = argv[at], *value = NULL;
	bool is_long = word[1] == '-';
	size_t length = is_long ? strcspn(word, "=") : 2;
	const struct flag *f = is_long ? find_name(tables, word + 2, length - 2)
				       : find_letter(tables, word[1]);

	if (!f) {
		unknown_flag(tables, word, length, why, why_size);
		return -1;
	}
	if (is_long && word[length] == '=')
		value = word + length + 1;
	else if (!is_long && word[2])
		value = word + 2;
	if (!f->value && value) {
		snprintf(why, why_size, "--%s takes no value", f->name);
		return -1;
	}
	at++;
	if (f->value && !value) {
		if (at == argc) {
			snprintf(why, why_size, "--%s needs a value: --%s %s", f->name, f->name,
				 f->value);
			return -1;
		}
		value = argv[at++];
	}
	give(f, value);
	return at;
}

void flags_help(const struct flag *table, const char *title)
{
	printf("\n%s:\n", title);
	for (const struct flag *f = table; f->name; f++) {
		char left[64];

		snprintf(left, sizeof(left), "%s%c%s--%s%s%s", f->letter ? "-" : " ",
			 f->letter ? f->letter : ' ', f->letter ? ", " : "  ", f->name,
			 f->value ? " " : "", f->value ? f->value : "");
		printf("  %-26s %s\n", left, f->help);
	}
}

/* Edit distance with transpositions (optimal string alignment), both at most NAME_MAX_LENGTH - 1 long. */
static size_t distance(const char *a, const char *b)
{
	size_t d[NAME_MAX_LENGTH + 1][NAME_MAX_LENGTH + 1];
	size_t m = strlen(a), n = strlen(b);

	for (size_t i = 0; i <= m; i++)
		d[i][0] = i;
	for (size_t j = 0; j <= n; j++)
		d[0][j] = j;
	for (size_t i = 1; i <= m; i++) {
		for (size_t j = 1; j <= n; j++) {
			size_t best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);

			if (d[i - 1][j] + 1 < best)
				best = d[i - 1][j] + 1;
			if (d[i][j - 1] + 1 < best)
				best = d[i][j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    d[i - 2][j - 2] + 1 < best)
				best = d[i - 2][j - 2] + 1;
			d[i][j] = best;
		}
	}
	return d[m][n];
}

const char *nearest_name(const char *word, const char *(*name)(const void *arg, size_t index),
			 const void *arg, size_t count)
{
	/* One slip in three characters, two at most. */
	size_t limit = strlen(word) < 3 ? 1 : strlen(word) < 6 ? 1 : 2;
	const char *best = NULL;

	if (strlen(word) >= NAME_MAX_LENGTH)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		const char *candidate = name(arg, i);
		size_t d;

		if (strlen(candidate) >= NAME_MAX_LENGTH)
			continue;
		d = distance(word, candidate);
		if (d <= limit && d < strlen(candidate)) {
			best = candidate;
			if (d == 0)
				break;
			limit = d - 1;
		}
	}
	return best;
}
