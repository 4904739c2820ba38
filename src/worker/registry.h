/*
 * registry.h — the job types that this process has loaded, from the worker directory and the configured plugins.
 *
 * A module is a shared object that exports `ga_plugin` (see gather/worker.h). Its declarations are copied, so that one
 * built against an older, shorter struct ga_job_type works. Owns the modules: they are unloaded by registry_free(), when
 * none of their code runs any more. Needs no loop.
 */
#pragma once
#include "compiler.h"
#include "type_table.h"
#include <gather/worker.h>

struct loaded_type {
	struct ga_job_type declaration;
	const struct job_type *entry; /* its row in the table */
	json_t **presets;             /* the defaults of entry->params, parsed; NULL: none */
};

struct registry;

struct registry_options {
	const char *directory; /* all its *.so, sorted by name; NULL: none */
	char *const *plugins;  /* further paths, NULL-terminated; NULL: none */
};

/* -EINVAL: a module is bad; -ENOMEM. `ret_why` says which one and what would be right. */
int registry_load(const struct registry_options *options, struct registry **ret_registry,
		  char *ret_why, size_t why_size) GA_MUST_CHECK;
void registry_free(struct registry *r);
const struct type_table *registry_table(const struct registry *r);
/* The type with that index in the table; NULL past the end. */
const struct loaded_type *registry_type(const struct registry *r, size_t index);
