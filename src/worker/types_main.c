/*
 * types_main.c — the types role: load all modules, print their table, exit.
 */
#include "modules.h"

#include "log.h"
#include "settings.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

int modules_load(const struct role *role, struct conf **ret_conf, struct registry **ret_registry)
{
	struct registry_options options;
	struct conf_issue issue;
	struct conf *conf;
	char why[512];
	int error;

	error = conf_parse(role->config, "the configuration in force", &conf, &issue);
	if (error < 0) {
		log_error("%s", error == -EINVAL ? issue.text : strerror(-error));
		return EXIT_CONFIGURATION;
	}
	settings_use(conf);
	options = (struct registry_options){ .directory = conf->worker_dir,
					     .plugins = conf->plugins.items };
	error = registry_load(&options, ret_registry, why, sizeof(why));
	if (error < 0) {
		log_error("%s", why);
		settings_use(NULL);
		conf_free(conf);
		return error == -ENOMEM ? EXIT_FAILURE : EXIT_CONFIGURATION;
	}
	*ret_conf = conf;
	return 0;
}

static int print_table(const struct type_table *table)
{
	char *text = type_table_dump(table);
	bool written = text && printf("%s\n", text) >= 0 && fflush(stdout) == 0;

	if (!written)
		log_error("the table of job types can't be written: %s", strerror(errno));
	free(text);
	return written ? EXIT_SUCCESS : EXIT_FAILURE;
}

int types_main(const struct role *role)
{
	struct registry *registry;
	struct conf *conf;
	int status = modules_load(role, &conf, &registry);

	if (status != 0)
		return status;
	status = print_table(registry_table(registry));
	registry_free(registry);
	settings_use(NULL);
	conf_free(conf);
	return status;
}
