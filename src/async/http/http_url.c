/*
 * http_url.c — reading URLs, the common ones quickly, the others by libcurl's rules (RFC 3986, and WHATWG's on numbers).
 */
#include "http_url.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

static bool parse_plain(const char *url, struct http_target *t);
static int parse_any(const char *url, struct http_target *t, char **ret_url, char *error,
		     size_t error_size);

int http_url_parse(const char *url, struct http_target *ret_target, char **ret_url, char *error,
		   size_t error_size)
{
	for (const unsigned char *at = (const unsigned char *)url; *at; at++) {
		if (*at <= ' ' || *at == 0x7f) {
			snprintf(error, error_size,
				 "the URL holds a space or a control character; write it as %%%02X",
				 *at);
			return -EINVAL;
		}
	}
	*ret_url = NULL;
	if (parse_plain(url, ret_target))
		return 0;
	return parse_any(url, ret_target, ret_url, error, error_size);
}

/* Hosts whose last label starts with a digit are numbers to some parsers; only the usual notation passes as an address. */
static bool host_settle(struct http_target *t)
{
	const char *last = strrchr(t->host, '.');

	t->literal = address_parse(t->host, &t->address) == 0;
	last = last ? last + 1 : t->host;
	return t->literal || *last < '0' || *last > '9';
}

static bool parse_plain(const char *url, struct http_target *t)
{
	const char *at;
	size_t size;

	t->https = strncmp(url, "https://", 8) == 0;
	if (!t->https && strncmp(url, "http://", 7) != 0)
		return false;
	at = url + (t->https ? 8 : 7);
	size = strspn(at, "abcdefghijklmnopqrstuvwxyz0123456789.-");
	if (size == 0 || size > DNS_NAME_MAX || at[size - 1] == '.')
		return false;
	memcpy(t->host, at, size);
	t->host[size] = '\0';
	at += size;
	t->port = t->https ? 443 : 80;
	if (*at == ':') {
		unsigned port = 0;

		for (at++; *at >= '0' && *at <= '9' && port <= 65535; at++)
			port = port * 10 + (unsigned)(*at - '0');
		if (port == 0 || port > 65535)
			return false;
		t->port = (uint16_t)port;
	}
	return (*at == '\0' || *at == '/' || *at == '?' || *at == '#') && host_settle(t);
}

static int read_parts(CURLU *u, struct http_target *t, char *error, size_t error_size)
{
	char *scheme = NULL, *host = NULL, *port = NULL, *zone = NULL;
	int r = -EINVAL;
	size_t size;

	if (curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK)
		goto out;
	t->https = strcasecmp(scheme, "https") == 0;
	if (curl_url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
	    curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK)
		goto out;
	if (curl_url_get(u, CURLUPART_ZONEID, &zone, 0) == CURLUE_OK) {
		snprintf(error, error_size, "an address with a zone can't be fetched from");
		goto out;
	}
	size = strlen(host);
	if (size > 2 && host[0] == '[')
		snprintf(t->host, sizeof(t->host), "%.*s", (int)MIN(size - 2, sizeof(t->host)),
			 host + 1);
	else if (size <= DNS_NAME_MAX)
		memcpy(t->host, host, size + 1);
	else
		goto out;
	for (char *c = t->host; *c; c++) {
		if (*c & 0x80) {
			snprintf(error, error_size,
				 "write the host in its ASCII form, which starts with xn--");
			goto out;
		}
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	}
	t->port = (uint16_t)strtoul(port, NULL, 10);
	if (t->port > 0 && host_settle(t))
		r = 0;
out:
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	curl_free(zone);
	return r;
}

/* "127.0.0.1." and "example.com." are asked for without the root's dot, in every place where the host is used. */
static CURLUcode drop_root_dot(CURLU *u)
{
	char *host = NULL, *url = NULL;
	CURLUcode code = curl_url_get(u, CURLUPART_HOST, &host, 0);
	size_t size = code == CURLUE_OK ? strlen(host) : 0;

	if (size > 1 && host[size - 1] == '.') {
		host[size - 1] = '\0';
		code = curl_url_set(u, CURLUPART_HOST, host, 0);
		if (code == CURLUE_OK)
			code = curl_url_get(u, CURLUPART_URL, &url, 0);
		if (code == CURLUE_OK) /* again from the start: numbers are read only there */
			code = curl_url_set(u, CURLUPART_URL, url, CURLU_PATH_AS_IS);
	}
	curl_free(host);
	curl_free(url);
	return code;
}

static bool authority_has_backslash(const char *url)
{
	const char *at = strstr(url, "//");

	at = at ? at + 2 : url;
	return memchr(at, '\\', strcspn(at, "/?#")) != NULL;
}

static int parse_any(const char *url, struct http_target *t, char **ret_url, char *error,
		     size_t error_size)
{
	CURLU *u;
	CURLUcode code;
	char *normal = NULL;
	int r = -EINVAL;

	if (strncasecmp(url, "http:", 5) != 0 && strncasecmp(url, "https:", 6) != 0) {
		snprintf(error, error_size,
			 "only URLs that start with http:// or https:// are fetched");
		return -EINVAL;
	}
	u = curl_url();
	if (!u)
		return -ENOMEM;
	snprintf(error, error_size, "malformed URL");
	code = curl_url_set(u, CURLUPART_URL, url, CURLU_PATH_AS_IS);
	if (code == CURLUE_OK && !authority_has_backslash(url))
		code = drop_root_dot(u);
	if (code == CURLUE_OK && !authority_has_backslash(url))
		r = read_parts(u, t, error, error_size);
	else if (code != CURLUE_OK)
		snprintf(error, error_size, "malformed URL: %s", curl_url_strerror(code));
	if (r == 0 &&
	    (curl_url_get(u, CURLUPART_URL, &normal, 0) != CURLUE_OK || !(*ret_url = strdup(normal))))
		r = -ENOMEM;
	curl_free(normal);
	curl_url_cleanup(u);
	return r;
}
