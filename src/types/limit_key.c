/*
 * The limit key of a job whose type names a parameter for it: the host of that URL (RFC 3986, section 3.2), in lower case
 * and without the final dot, and the port unless it is the scheme's own.
 */
#include "limit_key.h"

#include <stdlib.h>
#include <strings.h>

/* Behind "scheme://", up to where the path begins; NULL: there is no host. */
static const char *authority_of(const char *url, bool *ret_tls, size_t *ret_size)
{
	static const char *const schemes[] = { "http://", "https://" };

	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		size_t size = strlen(schemes[i]);

		if (strncasecmp(url, schemes[i], size) != 0)
			continue;
		*ret_tls = i == 1;
		*ret_size = strcspn(url + size, "/?#\\");
		return url + size;
	}
	return NULL;
}

/* What a reference stands for isn't known yet, and what no key may have is no host. */
static bool is_host(struct span host)
{
	return limit_key_valid(host) && !memchr(host.data, '{', host.size);
}

size_t limit_key_of_url(const char *url, char out[LIMIT_KEY_MAX + 1])
{
	size_t size, host_size, used = 0;
	bool tls;
	const char *at = authority_of(url, &tls, &size), *user, *port = NULL;
	long number;

	if (!at)
		return 0;
	user = memrchr(at, '@', size);
	if (user) {
		size -= (size_t)(user + 1 - at);
		at = user + 1;
	}
	host_size = size;
	for (size_t i = size; i > 0 && at[i - 1] != ']'; i--)
		if (at[i - 1] == ':') {
			port = at + i;
			host_size = i - 1;
		}
	if (host_size > 1 && at[host_size - 1] == '.')
		host_size--;
	if (host_size > LIMIT_KEY_MAX - sizeof(":65535") || !is_host((struct span){ at, host_size }))
		return 0;
	for (; used < host_size; used++)
		out[used] = (char)(at[used] >= 'A' && at[used] <= 'Z' ? at[used] | 0x20 : at[used]);
	out[used] = '\0';
	number = port && port < at + size ? strtol(port, NULL, 10) : 0;
	if (number > 0 && number <= UINT16_MAX && number != (tls ? 443 : 80))
		used += (size_t)snprintf(out + used, sizeof(":65535"), ":%ld", number);
	return used;
}

size_t type_limit_key(const struct job_type *type, const json_t *args, char out[LIMIT_KEY_MAX + 1])
{
	const char *url = type->limit_param
				  ? json_string_value(json_object_get(args, type->limit_param))
				  : NULL;

	return url ? limit_key_of_url(url, out) : 0;
}

bool limit_key_valid(struct span key)
{
	if (key.size == 0 || key.size > LIMIT_KEY_MAX)
		return false;
	for (size_t i = 0; i < key.size; i++) {
		unsigned char c = (unsigned char)key.data[i];

		if (c <= ' ' || c >= 0x7f || strchr("/\\\"", c))
			return false;
	}
	return true;
}
