/*
 * address.h — IP addresses, what kind of place they lead to, and which of those may be called.
 *
 * The kind is that of the place really reached: an IPv4 address carried inside an IPv6 one (mapped, compatible, NAT64,
 * 6to4, Teredo, ISATAP) counts as itself. Sources: the IANA special-purpose registries (RFC 6890 and its updates),
 * RFC 6052 (NAT64), RFC 3056 (6to4), RFC 4380 (Teredo), RFC 5214 (ISATAP), the cloud vendors' manuals for metadata
 * services. Pure; never suspends. A policy is owned by its maker, belongs to no loop and is constant.
 */
#pragma once
#include "compiler.h"
#include <netinet/in.h>
#include <stdbool.h>

struct address {
	uint8_t bytes[16]; /* network order; IPv4 uses the first four */
	bool v6;
};

enum address_kind {
	ADDRESS_PUBLIC,
	ADDRESS_RESERVED, /* documentation, benchmarks, future use, broadcast */
	ADDRESS_MULTICAST,
	ADDRESS_SHARED, /* carrier-grade NAT, RFC 6598 */
	ADDRESS_PRIVATE,
	ADDRESS_LINK_LOCAL,
	ADDRESS_UNSPECIFIED, /* 0.0.0.0/8 and ::, which reach this host */
	ADDRESS_LOOPBACK,
	ADDRESS_METADATA, /* a cloud's service for credentials */
};

enum address_kind address_kind(const struct address *a);
const char *address_kind_text(enum address_kind kind); /* "a private address" */

/* "10.0.0.5" or "::1", no brackets, no zone, no leading zeros. -EINVAL. */
int address_parse(const char *text, struct address *ret_address) GA_MUST_CHECK;
#define ADDRESS_TEXT_SIZE 48
char *address_format(const struct address *a, char buffer[ADDRESS_TEXT_SIZE]); /* returns buffer */
int address_from_sockaddr(const struct sockaddr *sa, struct address *ret_address,
			  uint16_t *ret_port) GA_MUST_CHECK;
socklen_t address_to_sockaddr(const struct address *a, uint16_t port, struct sockaddr_storage *out);
bool address_equal(const struct address *a, const struct address *b);
bool address_in_prefix(const uint8_t *bytes, const uint8_t *prefix, unsigned bits);
/* The IPv4 addresses that an IPv6 one carries: how many, 0 to 2. */
size_t address_embedded(const struct address *a, struct address ret_inner[2]);

struct address_policy;

/*
 * Public addresses may be called, and what `allow` lists, separated by spaces or commas: "10.0.0.0/8", "10.0.0.5:80",
 * "::1", "[::1]:80", a host name as it stands in the URL ("localhost", "localhost:8080"), or "*" for all. Metadata
 * services stay shut whatever is listed. NULL or "": nothing. -EINVAL: `error` says which entry is wrong and why.
 */
int address_policy_new(const char *allow, char *error, size_t error_size,
		       struct address_policy **ret_policy) GA_MUST_CHECK;
void address_policy_free(struct address_policy *p);

/* Whether `host` (the URL's, a name or an address) may be called at this address and port: 0, or -EACCES. */
int address_policy_check(const struct address_policy *p, const char *host, const struct address *a,
			 uint16_t port);

/* The sentence that says why not, and what would allow it; returns out. */
char *address_refusal(const char *host, const struct address *a, uint16_t port, char *out,
		      size_t out_size);
