#include "registry.h"

#include <dlfcn.h>
#include <errno.h>
#include <glob.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* The shortest declaration that this version still takes. */
#define TYPE_SIZE_MIN offsetof(struct ga_job_type, example)

struct module {
	char *path;
	void *handle;
};

struct registry {
	struct module *modules;
	size_t module_count;
	struct loaded_type *types; /* once loaded: by index in the table */
	const char **paths; /* of the module that each of `types` came from; while loading only */
	size_t type_count;
	struct type_table *table;
	char *why;
	size_t why_size;
};

static int add_directory(struct registry *r, const char *directory);
static int add_module(struct registry *r, const char *path);
static int complete(struct registry *r);

int registry_load(const struct registry_options *options, struct registry **ret_registry,
		  char *ret_why, size_t why_size)
{
	struct registry *r = calloc(1, sizeof(*r));
	int error = 0;

	if (!r)
		return -ENOMEM;
	r->why = ret_why;
	r->why_size = why_size;
	snprintf(ret_why, why_size, "out of memory");
	if (options->directory)
		error = add_directory(r, options->directory);
	for (char *const *path = options->plugins; error == 0 && path && *path; path++)
		error = add_module(r, *path);
	if (error == 0)
		error = complete(r);
	free(r->paths);
	r->paths = NULL;
	r->why = NULL;
	if (error < 0) {
		registry_free(r);
		return error;
	}
	*ret_registry = r;
	return 0;
}

static void free_presets(struct loaded_type *t)
{
	if (!t->presets)
		return;
	for (size_t i = 0; i < t->entry->param_count; i++)
		json_decref(t->presets[i]);
	free(t->presets);
}

void registry_free(struct registry *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->type_count; i++)
		free_presets(&r->types[i]);
	type_table_free(r->table);
	for (size_t i = 0; i < r->module_count; i++) {
		if (r->modules[i].handle)
			dlclose(r->modules[i].handle);
		free(r->modules[i].path);
	}
	free(r->modules);
	free(r->types);
	free(r->paths);
	free(r);
}

const struct type_table *registry_table(const struct registry *r)
{
	return r->table;
}

const struct loaded_type *registry_type(const struct registry *r, size_t index)
{
	return index < r->type_count ? &r->types[index] : NULL;
}

static int GA_PRINTF(3, 4) bad(struct registry *r, const char *path, const char *format, ...)
{
	int used = snprintf(r->why, r->why_size, "%s: ", path);
	va_list values;

	if (used < 0 || (size_t)used >= r->why_size)
		return -EINVAL;
	va_start(values, format);
	vsnprintf(r->why + used, r->why_size - (size_t)used, format, values);
	va_end(values);
	return -EINVAL;
}

static int add_directory(struct registry *r, const char *directory)
{
	char pattern[4096];
	glob_t found;
	int error;

	if ((size_t)snprintf(pattern, sizeof(pattern), "%s/*.so", directory) >= sizeof(pattern))
		return bad(r, directory, "the path is too long");
	error = glob(pattern, GLOB_ERR, NULL, &found);
	if (error == GLOB_NOSPACE)
		return -ENOMEM;
	if (error != 0)
		return bad(r, directory,
			   error == GLOB_NOMATCH ? "holds no *.so; is worker_dir right?"
						 : "can't be read; is worker_dir right?");
	for (size_t i = 0; error == 0 && i < found.gl_pathc; i++)
		error = add_module(r, found.gl_pathv[i]);
	globfree(&found);
	return error;
}

/* What the module declares; checked as far as its layout goes. */
static int open_module(struct registry *r, struct module *m, const struct ga_plugin **ret_plugin)
{
	const struct ga_plugin *plugin;

	m->handle = dlopen(m->path, RTLD_NOW | RTLD_LOCAL);
	if (!m->handle)
		return bad(r, m->path, "can't be loaded: %s", dlerror());
	plugin = dlsym(m->handle, "ga_plugin");
	if (!plugin)
		return bad(r, m->path, "is no job type module: it lacks GA_PLUGIN(&type, ...)");
	if (plugin->abi != GA_WORKER_ABI)
		return bad(r, m->path, "is built for ABI %u, this gatherd has %u: build it anew",
			   plugin->abi, GA_WORKER_ABI);
	if (plugin->type_size > sizeof(struct ga_job_type) || plugin->type_size < TYPE_SIZE_MIN)
		return bad(r, m->path,
			   "declares types of %zu bytes, this gatherd takes %zu to %zu: build it anew",
			   plugin->type_size, TYPE_SIZE_MIN, sizeof(struct ga_job_type));
	if (!plugin->types || !plugin->types[0])
		return bad(r, m->path, "declares no types");
	*ret_plugin = plugin;
	return 0;
}

static int check_handlers(struct registry *r, const char *path, const struct ga_job_type *t)
{
	if (!!t->run + !!t->start + !!t->work != 1)
		return bad(r, path, "type %s needs one handler: run, start or work", t->name);
	if (t->finish && !t->start)
		return bad(r, path, "type %s has finish, which goes with start", t->name);
	if (t->data_bytes > 1 << 20)
		return bad(r, path, "type %s wants %zu data_bytes; at most 1 MiB", t->name,
			   t->data_bytes);
	return 0;
}

static int add_type(struct registry *r, const char *path, const struct ga_job_type *declared, size_t size)
{
	struct loaded_type *types = reallocarray(r->types, r->type_count + 1, sizeof(*types));
	const char **paths;
	struct loaded_type *t;

	if (!types)
		return -ENOMEM;
	r->types = types;
	paths = reallocarray(r->paths, r->type_count + 1, sizeof(*paths));
	if (!paths)
		return -ENOMEM;
	r->paths = paths;
	t = &types[r->type_count];
	*t = (struct loaded_type){ 0 };
	memcpy(&t->declaration, declared, size);
	for (size_t i = 0; t->declaration.name && i < r->type_count; i++)
		if (strcmp(types[i].declaration.name, t->declaration.name) == 0)
			return bad(r, path, "type %s is declared by %s already",
				   t->declaration.name, paths[i]);
	paths[r->type_count++] = path;
	return 0;
}

static int check_types(struct registry *r, const char *path, size_t first)
{
	const struct ga_job_type *one[1];
	struct type_table *t;
	char why[320];

	for (size_t i = first; i < r->type_count; i++) {
		int error;

		one[0] = &r->types[i].declaration;
		error = type_table_new(one, 1, &t, why, sizeof(why));
		if (error == -ENOMEM)
			return error;
		if (error < 0)
			return bad(r, path, "%s", why);
		type_table_free(t);
		error = check_handlers(r, path, one[0]);
		if (error < 0)
			return error;
	}
	return 0;
}

static int add_module(struct registry *r, const char *path)
{
	struct module *modules = reallocarray(r->modules, r->module_count + 1, sizeof(*modules));
	const struct ga_plugin *plugin = NULL;
	size_t first = r->type_count;
	struct module *m;
	int error;

	if (!modules)
		return -ENOMEM;
	r->modules = modules;
	m = &modules[r->module_count];
	*m = (struct module){ .path = strdup(path) };
	if (!m->path)
		return -ENOMEM;
	r->module_count++;
	error = open_module(r, m, &plugin);
	for (size_t i = 0; error == 0 && plugin && plugin->types[i]; i++)
		error = add_type(r, m->path, plugin->types[i], plugin->type_size);
	return error < 0 ? error : check_types(r, m->path, first);
}

static int parse_presets(struct loaded_type *t)
{
	t->presets = calloc(t->entry->param_count + 1, sizeof(json_t *));
	if (!t->presets)
		return -ENOMEM;
	for (size_t i = 0; i < t->entry->param_count; i++) {
		const char *preset = t->entry->params[i].preset;

		if (!preset)
			continue;
		t->presets[i] = json_loads(preset, JSON_DECODE_ANY, NULL);
		if (!t->presets[i])
			return -ENOMEM;
	}
	return 0;
}

/* Put the types in the table's order and give each its row. */
static void sort_types(struct registry *r)
{
	for (size_t i = 0; i < r->type_count; i++) {
		const struct job_type *entry = type_at(r->table, i);
		size_t at = i;

		while (strcmp(r->types[at].declaration.name, entry->name) != 0)
			at++;
		struct loaded_type found = r->types[at];

		r->types[at] = r->types[i];
		r->types[i] = found;
		r->types[i].entry = entry;
	}
}

static int complete(struct registry *r)
{
	const struct ga_job_type **declared = calloc(r->type_count + 1, sizeof(void *));
	int error;

	if (!declared)
		return -ENOMEM;
	for (size_t i = 0; i < r->type_count; i++)
		declared[i] = &r->types[i].declaration;
	error = type_table_new(declared, r->type_count, &r->table, r->why, r->why_size);
	free(declared);
	if (error < 0)
		return error;
	sort_types(r);
	for (size_t i = 0; error == 0 && i < r->type_count; i++)
		error = parse_presets(&r->types[i]);
	return error;
}
