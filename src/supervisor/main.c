/*
 * main.c — gatherd: the supervisor, or one of its children when it was started with --role.
 */
#include "configuration.h"
#include "log.h"
#include "role.h"
#include "supervisor.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum { EXIT_USAGE = 2 };

static void standard_descriptors(void);
static int role_main(int argc, char *argv[]);
static int check(const struct options *o);

int main(int argc, char *argv[])
{
	struct options o;
	int status = EXIT_SUCCESS, r;

	standard_descriptors();
	if (argc > 1 && strcmp(argv[1], "--role") == 0)
		return role_main(argc, argv);
	r = options_parse(argc, argv, &o);
	if (r < 0)
		return r == -ENOMEM ? EXIT_FAILURE : EXIT_USAGE;
	if (o.mode == MODE_CHECK)
		status = check(&o);
	else if (o.mode == MODE_SERVE)
		status = supervise(&o);
	options_done(&o);
	return status;
}

/* Closed ones would become some socket, and a stray message would go there. */
static void standard_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

static int role_main(int argc, char *argv[])
{
	static const struct {
		const char *name;
		int (*main)(const struct role *r);
	} roles[] = {
		{ "broker", broker_main },
		{ "worker", worker_main },
		{ "types", types_main },
	};
	struct role r;
	int status = EXIT_USAGE;

	if (role_adopt(argc, argv, &r) < 0)
		return EXIT_USAGE;
	for (size_t i = 0; i < ARRAY_SIZE(roles); i++)
		if (strcmp(r.name, roles[i].name) == 0)
			status = roles[i].main(&r);
	role_done(&r);
	return status;
}

static int check(const struct options *o)
{
	struct conf_issue issue;
	struct conf *c;

	if (configuration_load(o, &c, &issue) < 0) {
		fprintf(stderr, "gatherd: %s\n", issue.text);
		return EX_CONFIG;
	}
	puts("the configuration is fine");
	conf_free(c);
	return EXIT_SUCCESS;
}
