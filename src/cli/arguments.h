/*
 * arguments.h — a job's arguments as the command line writes them, and the JSON that they become.
 *
 *	k=v       a value whose kind the type's table of parameters says: seconds=0.5 becomes a number
 *	k:=JSON   JSON as it is
 *	k=@FILE   the file's text;  k:=@FILE the file's JSON;  "-" is standard input
 *
 * Where a value holds {}, each job gets its own line there.
 */
#pragma once
#include "cli.h"

enum shape { SHAPE_TEXT, SHAPE_NUMBER, SHAPE_BOOLEAN, SHAPE_JSON };

struct argument {
	char *name;
	struct strbuf value;
	enum shape shape; /* of k=v: what it is taken for if it looks like it, else text */
	bool verbatim;    /* k:=JSON */
	bool has_line;    /* holds {} */
};
struct arguments {
	struct argument *item;
	size_t count;
};

/* One word. False, and `why` says so: it isn't an argument. */
bool arguments_add(struct arguments *a, const char *word, bool lines, char *why, size_t why_size);
void arguments_free(struct arguments *a);
struct argument *arguments_find(const struct arguments *a, const char *name);
/* The value with `line` in the place of {}. */
void argument_fill(const struct argument *arg, const char *line, size_t line_size, struct strbuf *out);
/* The line as an argument of its own. */
void arguments_add_line(struct arguments *a, const char *name);
/* The shape for a parameter's type, by the name that GET /v1/types/{name} gives. */
enum shape shape_of(const char *param_type);

/* The JSON object; `line` stands for {}. False: a value isn't UTF-8, or no JSON once the line stands in it. */
bool arguments_write(const struct arguments *a, const char *line, size_t line_size,
		     struct strbuf *out, char *why, size_t why_size);
