/*
 * options.h — gatherd's command line.
 */
#pragma once
#include "compiler.h"
#include <stdbool.h>

enum options_mode {
	MODE_SERVE,
	MODE_CHECK, /* -t */
	MODE_DONE,  /* --help and the like: printed already */
};

struct options {
	enum options_mode mode;
	const char *config;      /* NULL: the installed one if it exists */
	bool dev;                /* foreground, no set-up */
	const char *private_dir; /* all of it in this directory, quiet; NULL: no */
	const char **settings; /* "NAME=VALUE" of each -o, in order; owned, the strings are argv's */
	unsigned setting_count;
	int ready_fd;     /* gets "ready\n" once it serves; -1: none */
	int until_eof_fd; /* the daemon ends when this reads end of file; -1: none */
};

/* What was asked for is printed by itself. -EINVAL: reported on standard error, to be left with EX 2. */
int options_parse(int argc, char *argv[], struct options *ret_options) GA_MUST_CHECK;
void options_done(struct options *o);
