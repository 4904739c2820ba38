/*
 * fuzz_conf.c — any text is a configuration or a complaint, never a crash; what is accepted survives dump and parse.
 */
#include "conf.h"
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_dump(const struct conf *c)
{
	struct conf_issue issue;
	struct conf *again;
	char *first = conf_dump(c), *second;

	if (!first || conf_parse(first, "dump", &again, &issue) < 0)
		abort();
	second = conf_dump(again);
	if (!second || strcmp(first, second) != 0)
		abort();
	free(first);
	free(second);
	conf_free(again);
}

/* The first byte chooses: a whole file, or one assignment as on the command line. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = calloc(1, size + 1);
	struct conf_issue issue;
	struct conf *c;
	int r;

	if (!text)
		return 0;
	if (size > 1)
		memcpy(text, data + 1, size - 1);
	if (size > 0 && data[0] == '=') {
		if (conf_defaults(&c) < 0)
			abort();
		r = conf_set(c, text, &issue);
	} else {
		r = conf_parse(text, "fuzz", &c, &issue);
	}
	if (r < 0 && !issue.text[0])
		abort();
	if (r >= 0)
		check_dump(c);
	if (r >= 0 || (size > 0 && data[0] == '='))
		conf_free(c);
	free(text);
	return 0;
}
