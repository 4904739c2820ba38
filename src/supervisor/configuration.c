#include "configuration.h"
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int file_load(const struct options *o, struct conf **ret_conf, struct conf_issue *issue);
static int places_set(const struct options *o, struct conf *c, struct conf_issue *issue);
static int build_tree_set(struct conf *c, struct conf_issue *issue);
static int set(struct conf *c, struct conf_issue *issue, const char *format, ...) GA_PRINTF(3, 4);

int configuration_load(const struct options *o, struct conf **ret_conf, struct conf_issue *ret_issue)
{
	struct conf *c = NULL;
	int r;

	ret_issue->text[0] = '\0';
	r = file_load(o, &c, ret_issue);
	if (r >= 0)
		r = build_tree_set(c, ret_issue);
	if (r >= 0)
		r = places_set(o, c, ret_issue);
	for (unsigned i = 0; r >= 0 && i < o->setting_count; i++)
		r = conf_set(c, o->settings[i], ret_issue);
	if (r < 0) {
		if (!ret_issue->text[0])
			snprintf(ret_issue->text, sizeof(ret_issue->text),
				 "the configuration can't be read: %s", strerror(-r));
		conf_free(c);
		return r;
	}
	*ret_conf = c;
	return 0;
}

enum log_level configuration_log_level(const struct conf *c)
{
	static const struct {
		const char *name;
		enum log_level level;
	} levels[] = {
		{ "error", LEVEL_ERROR }, { "warning", LEVEL_WARNING }, { "notice", LEVEL_NOTICE },
		{ "info", LEVEL_INFO },   { "debug", LEVEL_DEBUG },
	};

	for (size_t i = 0; i < ARRAY_SIZE(levels); i++)
		if (strcmp(c->log_level, levels[i].name) == 0)
			return levels[i].level;
	return LEVEL_INFO;
}

const char *configuration_directory(const struct options *o, char *buffer, size_t size)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");

	if (o->private_dir)
		return o->private_dir;
	if (!o->dev)
		return NULL;
	if (runtime && runtime[0] == '/')
		snprintf(buffer, size, "%s/gatherd-dev", runtime);
	else
		snprintf(buffer, size, "/tmp/gatherd-%u", (unsigned)getuid());
	return buffer;
}

static int file_load(const struct options *o, struct conf **ret_conf, struct conf_issue *issue)
{
	int r;

	if (!o->config && (o->dev || o->private_dir))
		return conf_defaults(ret_conf);
	r = conf_load(o->config ? o->config : GATHER_CONF_FILE, ret_conf, issue);
	if (r != -ENOENT)
		return r;
	if (!o->config)
		return conf_defaults(ret_conf);
	snprintf(issue->text, sizeof(issue->text), "%s: no such file", o->config);
	return r;
}

/* An uninstalled gatherd finds the job types that were built with it, unless the file names others. */
static int build_tree_set(struct conf *c, struct conf_issue *issue)
{
	static const char beside[] = "/../lib/gather/workers";
	char program[PATH_MAX], resolved[PATH_MAX];
	struct conf *defaults;
	ssize_t size = readlink("/proc/self/exe", program, sizeof(program) - sizeof(beside));
	char *slash;
	bool is_default;
	int r;

	if (size <= 0)
		return 0;
	program[size] = '\0';
	slash = strrchr(program, '/');
	if (!slash)
		return 0;
	memcpy(slash, beside, sizeof(beside));
	if (!realpath(program, resolved))
		return 0;
	r = conf_defaults(&defaults);
	if (r < 0)
		return r;
	is_default = strcmp(defaults->worker_dir, c->worker_dir) == 0;
	conf_free(defaults);
	return is_default ? set(c, issue, "worker_dir=%s", resolved) : 0;
}

static int places_set(const struct options *o, struct conf *c, struct conf_issue *issue)
{
	char buffer[PATH_MAX];
	const char *directory = configuration_directory(o, buffer, sizeof(buffer));
	int r;

	if (!directory)
		return 0;
	r = set(c, issue, "socket=%s/%s", directory, o->private_dir ? "s" : "gatherd.sock");
	if (r >= 0)
		r = set(c, issue, "state_dir=%s/state", directory);
	if (r >= 0)
		r = set(c, issue, "runtime_dir=%s/run", directory);
	if (r >= 0 && o->private_dir)
		r = set(c, issue, "log_level=error");
	return r;
}

static int set(struct conf *c, struct conf_issue *issue, const char *format, ...)
{
	va_list values;
	char *assignment;
	int r;

	va_start(values, format);
	r = vasprintf(&assignment, format, values);
	va_end(values);
	if (r < 0)
		return -ENOMEM;
	r = conf_set(c, assignment, issue);
	free(assignment);
	return r;
}
