/*
 * address_policy.c — the list of what may be called beyond the public internet.
 */
#include "address.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ENTRIES_MAX 1024
#define ENTRY_TEXT_SIZE 280 /* a host name has 253 bytes at most (RFC 1035), a port 5 */

enum entry_form { ENTRY_ALL, ENTRY_RANGE, ENTRY_NAME };

struct entry {
	enum entry_form form;
	uint8_t bits;
	uint16_t port; /* 0: any */
	struct address base;
	char *name;
};

struct address_policy {
	size_t count;
	struct entry entries[];
};

static int entry_parse(const char *text, struct entry *ret_entry, const char **ret_why);

static size_t count_entries(const char *list)
{
	size_t count = 0;

	for (const char *at = list; *(at += strspn(at, " ,\t\n")); at += strcspn(at, " ,\t\n"))
		count++;
	return count;
}

int address_policy_new(const char *allow, char *error, size_t error_size,
		       struct address_policy **ret_policy)
{
	const char *at = allow ? allow : "", *why = "too many entries";
	size_t count = count_entries(at);
	struct address_policy *p;

	if (count > ENTRIES_MAX) {
		snprintf(error, error_size, "more than %d entries", ENTRIES_MAX);
		return -EINVAL;
	}
	p = calloc(1, sizeof(*p) + count * sizeof(p->entries[0]));
	if (!p)
		return -ENOMEM;
	for (; *(at += strspn(at, " ,\t\n")); at += strcspn(at, " ,\t\n")) {
		size_t size = strcspn(at, " ,\t\n");
		char text[ENTRY_TEXT_SIZE];
		int r = -EINVAL;

		why = "too long";
		snprintf(text, sizeof(text), "%.*s", (int)MIN(size, sizeof(text)), at);
		if (size < sizeof(text))
			r = entry_parse(text, &p->entries[p->count], &why);
		if (r < 0) {
			snprintf(error, error_size, "\"%s\": %s", text,
				 r == -ENOMEM ? "no memory" : why);
			address_policy_free(p);
			return r;
		}
		p->count++;
	}
	*ret_policy = p;
	return 0;
}

void address_policy_free(struct address_policy *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->count; i++)
		free(p->entries[i].name);
	free(p);
}

/* Decimal digits only, no sign, no leading zero: what a reader sees is what counts. */
static int number_parse(const char *text, unsigned max, unsigned *ret_number)
{
	unsigned n = 0;

	if (!*text || (text[0] == '0' && text[1]))
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		n = n * 10 + (unsigned)(*text - '0');
		if (n > max)
			return -EINVAL;
	}
	*ret_number = n;
	return 0;
}

/* Cut ":port" and the brackets of "[::1]:80" off. */
static int port_split(char *text, char **ret_host, uint16_t *ret_port)
{
	char *colon = strrchr(text, ':'), *close = strchr(text, ']');
	unsigned port = 0;

	if (text[0] == '[') {
		if (!close || (close[1] && close[1] != ':'))
			return -EINVAL;
		colon = close[1] ? close + 1 : NULL;
		*close = '\0';
		text++;
	} else if (colon && strchr(text, ':') != colon) {
		colon = NULL; /* "::1" */
	}
	if (colon) {
		*colon = '\0';
		if (number_parse(colon + 1, 65535, &port) < 0 || port == 0)
			return -EINVAL;
	}
	*ret_host = text;
	*ret_port = (uint16_t)port;
	return 0;
}

static int range_check(const struct entry *e, const char **ret_why)
{
	unsigned width = e->base.v6 ? 128 : 32;

	if (e->bits == width && address_kind(&e->base) == ADDRESS_METADATA) {
		*ret_why = "metadata addresses stay shut";
		return -EINVAL;
	}
	for (unsigned bit = e->bits; bit < width; bit++) {
		if (e->base.bytes[bit / 8] & (0x80 >> bit % 8)) {
			*ret_why = "the address has bits beyond the prefix length";
			return -EINVAL;
		}
	}
	return 0;
}

static int range_parse(char *host, char *slash, struct entry *e, const char **ret_why)
{
	unsigned width, bits;

	if (slash)
		*slash = '\0';
	*ret_why = "not an address range, such as 10.0.0.0/8";
	if (address_parse(host, &e->base) < 0)
		return -EINVAL;
	width = bits = e->base.v6 ? 128 : 32;
	if (slash && number_parse(slash + 1, width, &bits) < 0)
		return -EINVAL;
	e->form = ENTRY_RANGE;
	e->bits = (uint8_t)bits;
	return range_check(e, ret_why);
}

static bool name_is_sound(const char *name)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
	const char *last = strrchr(name, '.');

	/* "127.1" or "0x7f.1" would never match: such hosts are turned into plain addresses before they are compared. */
	last = last ? last + 1 : name;
	return *name && strlen(name) <= 253 && name[strspn(name, letters)] == '\0' && *last &&
	       (*last < '0' || *last > '9');
}

static int entry_parse(const char *text, struct entry *ret_entry, const char **ret_why)
{
	struct entry e = { .form = ENTRY_ALL };
	char copy[ENTRY_TEXT_SIZE], *host;
	struct address ignored;
	char *slash;

	snprintf(copy, sizeof(copy), "%s", text);
	if (strcmp(copy, "*") != 0) {
		*ret_why = "the port must be 1 to 65535, and an IPv6 address with a port in brackets";
		if (port_split(copy, &host, &e.port) < 0)
			return -EINVAL;
		slash = strchr(host, '/');
		if (slash || address_parse(host, &ignored) == 0) {
			int r = range_parse(host, slash, &e, ret_why);

			if (r < 0)
				return r;
		} else {
			*ret_why = "neither an address, nor a range, nor a host name";
			if (!name_is_sound(host))
				return -EINVAL;
			e.form = ENTRY_NAME;
			e.name = strdup(host);
			if (!e.name)
				return -ENOMEM;
		}
	}
	*ret_entry = e;
	return 0;
}

static bool listed(const struct address_policy *p, const struct address *a, uint16_t port)
{
	for (size_t i = 0; i < p->count; i++) {
		const struct entry *e = &p->entries[i];

		if (e->form == ENTRY_RANGE && e->base.v6 == a->v6 && (e->port == 0 || e->port == port) &&
		    address_in_prefix(a->bytes, e->base.bytes, e->bits))
			return true;
	}
	return false;
}

static bool host_listed(const struct address_policy *p, const char *host, uint16_t port)
{
	for (size_t i = 0; i < p->count; i++) {
		const struct entry *e = &p->entries[i];

		if (e->form == ENTRY_ALL)
			return true;
		if (e->form == ENTRY_NAME && (e->port == 0 || e->port == port) && host &&
		    strcasecmp(e->name, host) == 0)
			return true;
	}
	return false;
}

int address_policy_check(const struct address_policy *p, const char *host, const struct address *a,
			 uint16_t port)
{
	enum address_kind kind = address_kind(a);
	struct address inner[2];
	size_t count, open = 0;

	if (kind == ADDRESS_PUBLIC)
		return 0;
	if (kind == ADDRESS_METADATA)
		return -EACCES;
	if (host_listed(p, host, port) || listed(p, a, port))
		return 0;
	/* Listing 127.0.0.1 opens [::ffff:127.0.0.1] too: it is the same place. */
	count = address_embedded(a, inner);
	for (size_t i = 0; i < count; i++)
		open += address_kind(&inner[i]) == ADDRESS_PUBLIC || listed(p, &inner[i], port);
	return count > 0 && open == count ? 0 : -EACCES;
}

/* The narrowest entry that people would write: a private network as a whole, anything else alone. */
static void remedy(const struct address *a, uint16_t port, char *out, size_t size)
{
	char text[ADDRESS_TEXT_SIZE];

	if (!a->v6 && address_kind(a) == ADDRESS_PRIVATE)
		snprintf(out, size, "%s",
			 a->bytes[0] == 10    ? "10.0.0.0/8"
			 : a->bytes[0] == 172 ? "172.16.0.0/12"
					      : "192.168.0.0/16");
	else
		snprintf(out, size, a->v6 ? "[%s]:%u" : "%s:%u", address_format(a, text),
			 (unsigned)port);
}

char *address_refusal(const char *host, const struct address *a, uint16_t port, char *out,
		      size_t out_size)
{
	char address[ADDRESS_TEXT_SIZE], who[ENTRY_TEXT_SIZE + ADDRESS_TEXT_SIZE + 8], entry[64];
	enum address_kind kind = address_kind(a);
	struct address literal;

	address_format(a, address);
	if (host && address_parse(host, &literal) < 0)
		snprintf(who, sizeof(who), "%s (%s)", host, address);
	else
		snprintf(who, sizeof(who), "%s", address);
	if (kind == ADDRESS_METADATA) {
		snprintf(out, out_size, "%s is %s; these stay shut", who, address_kind_text(kind));
		return out;
	}
	remedy(a, port, entry, sizeof(entry));
	snprintf(out, out_size, "%s is %s; allow it in gatherd.conf: http.allow = {\"%s\"}", who,
		 address_kind_text(kind), entry);
	return out;
}
