/*
 * fetch_args.h — the request that `gather fetch` makes of each URL: the same arguments of type http but for the url.
 */
#pragma once
#include "cli.h"

extern const struct flag fetch_flags[]; /* --method, --header, --data, --follow, ... */

struct fetch_args {
	struct strbuf rest; /* JSON text behind the url's value, up to the closing brace */
};

bool fetch_args_init(struct fetch_args *a, char *why, size_t why_size); /* from the flags */
void fetch_args_done(struct fetch_args *a);
/* False: the URL isn't UTF-8. */
bool fetch_args_write(const struct fetch_args *a, const char *url, size_t size, struct strbuf *out);
