/*
 * configuration.h — the configuration in force: the defaults, then the file, then what --dev or --private implies, then -o.
 */
#pragma once
#include "conf.h"
#include "log.h"
#include "options.h"

/* The caller owns the result. -errno with the reason in `ret_issue`. */
int configuration_load(const struct options *o, struct conf **ret_conf,
		       struct conf_issue *ret_issue) GA_MUST_CHECK;
enum log_level configuration_log_level(const struct conf *c);
/* The directory that --dev or --private keeps everything in, or NULL. */
const char *configuration_directory(const struct options *o, char *buffer, size_t size);
