/*
 * conf_print.c — a tool of the build: `conf_print example|manual|help` prints the option table.
 */
#include "conf.h"
#include <string.h>

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*print)(FILE *out);
	} forms[] = {
		{ "example", conf_example },
		{ "manual", conf_manual },
		{ "help", conf_help },
	};

	for (size_t i = 0; argc == 2 && i < ARRAY_SIZE(forms); i++) {
		if (strcmp(argv[1], forms[i].name) == 0) {
			forms[i].print(stdout);
			return fflush(stdout) == 0 ? 0 : 1;
		}
	}
	fputs("usage: conf_print example|manual|help\n", stderr);
	return 2;
}
