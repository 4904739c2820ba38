/*
 * flags.h — the command line: each flag is a row that says its name, its value and its help.
 *
 * Flags and operands may be mixed; "--" ends the flags, "-" alone is an operand. --name VALUE, --name=VALUE, -n VALUE,
 * -nVALUE.
 */
#pragma once
#include <gather/attributes.h>
#include <stdbool.h>
#include <stddef.h>

struct words { /* borrowed texts in an array of its own */
	const char **item;
	size_t count;
};
void words_add(struct words *w, const char *word);
void words_free(struct words *w);

/* Exactly one of on, text and list says where it goes. */
struct flag {
	const char *name;  /* without dashes; NULL ends a table */
	char letter;       /* 0: none */
	const char *value; /* what stands for its value in the help; NULL: a switch */
	const char *help;
	bool *on;
	const char **text;
	struct words *list; /* may be given several times */
};

struct parsed {
	struct words operands;
	struct words flags; /* the words that were flags or their values, as they were */
};

/* `argv` up to `argc` against up to five tables (NULL: no further). With `stop_at_operand`, the index of the first
 * operand; otherwise argc. -1: wrong, and `why` says so in a sentence. */
#define FLAG_TABLES 5
int flags_parse(int argc, char *const *argv, const struct flag *const tables[FLAG_TABLES],
		bool stop_at_operand, struct parsed *parsed, char *why, size_t why_size);
/* Print a table as help, under a title. */
void flags_help(const struct flag *table, const char *title);

/* The nearest of `count` names to `word`, if one is near enough to be a slip; else NULL. */
const char *nearest_name(const char *word, const char *(*name)(const void *arg, size_t index),
			 const void *arg, size_t count);
