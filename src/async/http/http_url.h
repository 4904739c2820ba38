/*
 * http_url.h — where an http or https URL leads: the host and port exactly as libcurl will see them.
 *
 * Plain URLs are read here, in one pass and without memory. Whatever is unusual (user names, capitals, brackets, percent
 * signs, numbers in other notations) goes through libcurl's own parser, so that what is vetted can't differ from what is
 * connected to; that runs on the loop's stack.
 */
#pragma once
#include "address.h"
#include "dns.h"
#include <string.h>

struct http_target {
	bool https;
	bool literal; /* the host is an address */
	uint16_t port;
	struct address address;      /* if literal */
	char host[DNS_NAME_MAX + 1]; /* an address without brackets */
};

/* 0, and *ret_url is NULL, or the normal form to use instead, the caller's. -EINVAL: `error` says why. -ENOMEM. */
int http_url_parse(const char *url, struct http_target *ret_target, char **ret_url, char *error,
		   size_t error_size) GA_MUST_CHECK;

static inline bool http_target_same_origin(const struct http_target *a, const struct http_target *b)
{
	return a->https == b->https && a->port == b->port && strcmp(a->host, b->host) == 0;
}
