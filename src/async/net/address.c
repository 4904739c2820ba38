/*
 * address.c — what kind of place an IP address leads to.
 */
#include "address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

struct prefix {
	uint8_t bytes[16];
	uint8_t bits;
	enum address_kind kind;
};

/* The first match counts, so exceptions stand before what holds them. */
static const struct prefix V4[] = {
	{ { 169, 254, 169, 254 }, 32, ADDRESS_METADATA }, /* AWS, Azure, Google, OpenStack and most others */
	{ { 169, 254, 170, 2 }, 32, ADDRESS_METADATA },   /* AWS ECS task credentials */
	{ { 169, 254, 170, 23 }, 32, ADDRESS_METADATA },  /* AWS EKS pod identity */
	{ { 169, 254, 0, 23 }, 32, ADDRESS_METADATA },    /* Tencent */
	{ { 169, 254, 42, 42 }, 32, ADDRESS_METADATA },   /* Scaleway */
	{ { 100, 100, 100, 200 }, 32, ADDRESS_METADATA }, /* Alibaba */
	{ { 192, 0, 0, 192 }, 32, ADDRESS_METADATA },     /* Oracle classic */
	{ { 168, 63, 129, 16 }, 32, ADDRESS_METADATA },   /* Azure's wire server */
	{ { 0 }, 8, ADDRESS_UNSPECIFIED },
	{ { 10 }, 8, ADDRESS_PRIVATE },
	{ { 100, 64 }, 10, ADDRESS_SHARED },
	{ { 127 }, 8, ADDRESS_LOOPBACK },
	{ { 169, 254 }, 16, ADDRESS_LINK_LOCAL },
	{ { 172, 16 }, 12, ADDRESS_PRIVATE },
	{ { 192, 0, 0, 9 }, 32, ADDRESS_PUBLIC },  /* PCP anycast, RFC 7723 */
	{ { 192, 0, 0, 10 }, 32, ADDRESS_PUBLIC }, /* TURN anycast, RFC 8155 */
	{ { 192, 0, 0 }, 24, ADDRESS_RESERVED },
	{ { 192, 0, 2 }, 24, ADDRESS_RESERVED },
	{ { 192, 88, 99 }, 24, ADDRESS_RESERVED }, /* 6to4 relays, withdrawn */
	{ { 192, 168 }, 16, ADDRESS_PRIVATE },
	{ { 198, 18 }, 15, ADDRESS_RESERVED },
	{ { 198, 51, 100 }, 24, ADDRESS_RESERVED },
	{ { 203, 0, 113 }, 24, ADDRESS_RESERVED },
	{ { 224 }, 4, ADDRESS_MULTICAST },
	{ { 240 }, 4, ADDRESS_RESERVED },
};

static const struct prefix V6[] = {
	{ { 0xfd, 0, 0x0e, 0xc2, [14] = 0x02, [15] = 0x54 }, 128, ADDRESS_METADATA }, /* fd00:ec2::254, AWS */
	{ { 0xfd, 0, 0x0e, 0xc2, [15] = 0x23 }, 128, ADDRESS_METADATA }, /* fd00:ec2::23, AWS EKS */
	{ { 0xfd, 0x20, 0, 0xce, [14] = 0x02, [15] = 0x54 }, 128, ADDRESS_METADATA }, /* fd20:ce::254, Google */
	{ { 0xfd, 0, 0, 0x42, [15] = 0x42 }, 128, ADDRESS_METADATA }, /* fd00:42::42, Scaleway */
	{ { 0xfe, 0x80, [12] = 0xa9, 0xfe, 0xa9, 0xfe }, 128, ADDRESS_METADATA }, /* fe80::a9fe:a9fe, OpenStack */
	{ { 0 }, 128, ADDRESS_UNSPECIFIED },
	{ { [15] = 1 }, 128, ADDRESS_LOOPBACK },
	{ { 0x00, 0x64, 0xff, 0x9b, 0x00, 0x01 }, 48, ADDRESS_PRIVATE }, /* local NAT64, RFC 8215 */
	{ { 0x01 }, 64, ADDRESS_RESERVED },                              /* discard-only */
	{ { 0x20, 0x01, 0x0d, 0xb8 }, 32, ADDRESS_RESERVED },
	{ { 0x20, 0x01, 0x00, 0x02 }, 48, ADDRESS_RESERVED },
	{ { 0x20, 0x01, 0x00, 0x10 }, 28, ADDRESS_RESERVED }, /* ORCHID, withdrawn */
	{ { 0x3f, 0xff }, 20, ADDRESS_RESERVED },             /* RFC 9637 */
	{ { 0x5f, 0x00 }, 16, ADDRESS_RESERVED },             /* SRv6 SIDs, RFC 9602 */
	{ { 0xfc }, 7, ADDRESS_PRIVATE },
	{ { 0xfe, 0x80 }, 10, ADDRESS_LINK_LOCAL },
	{ { 0xfe, 0xc0 }, 10, ADDRESS_PRIVATE }, /* site-local, withdrawn */
	{ { 0xff }, 8, ADDRESS_MULTICAST },
	{ { 0x20 }, 3, ADDRESS_PUBLIC },                    /* 2000::/3, global unicast */
	{ { 0x00, 0x64, 0xff, 0x9b }, 96, ADDRESS_PUBLIC }, /* NAT64: as what it carries */
};

static enum address_kind kind_in(const struct prefix *table, size_t count, const uint8_t *bytes,
				 enum address_kind otherwise)
{
	for (size_t i = 0; i < count; i++)
		if (address_in_prefix(bytes, table[i].bytes, table[i].bits))
			return table[i].kind;
	return otherwise;
}

enum address_kind address_kind(const struct address *a)
{
	struct address inner[2];
	enum address_kind worst;
	size_t count;

	if (!a->v6)
		return kind_in(V4, ARRAY_SIZE(V4), a->bytes, ADDRESS_PUBLIC);
	count = address_embedded(a, inner);
	worst = kind_in(V6, ARRAY_SIZE(V6), a->bytes, count > 0 ? ADDRESS_PUBLIC : ADDRESS_RESERVED);
	/* The loopback and unspecified addresses look like compatible ones: they keep their own kind. */
	if (worst == ADDRESS_LOOPBACK || worst == ADDRESS_UNSPECIFIED)
		return worst;
	for (size_t i = 0; i < count; i++) {
		enum address_kind kind = address_kind(&inner[i]);

		worst = MAX(worst, kind);
	}
	return worst;
}

const char *address_kind_text(enum address_kind kind)
{
	static const char *const texts[] = {
		[ADDRESS_PUBLIC] = "a public address",
		[ADDRESS_RESERVED] = "a reserved address",
		[ADDRESS_MULTICAST] = "a multicast address",
		[ADDRESS_SHARED] = "a shared (carrier-grade NAT) address",
		[ADDRESS_PRIVATE] = "a private address",
		[ADDRESS_LINK_LOCAL] = "a link-local address",
		[ADDRESS_UNSPECIFIED] = "an unspecified address (this host)",
		[ADDRESS_LOOPBACK] = "a loopback address",
		[ADDRESS_METADATA] = "a cloud metadata address",
	};

	return texts[kind];
}

bool address_in_prefix(const uint8_t *bytes, const uint8_t *prefix, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	if (memcmp(prefix, bytes, whole) != 0)
		return false;
	return rest == 0 || ((prefix[whole] ^ bytes[whole]) >> (8 - rest)) == 0;
}

static struct address v4_at(const uint8_t *bytes, uint8_t mask)
{
	struct address a = { .v6 = false };

	for (int i = 0; i < 4; i++)
		a.bytes[i] = bytes[i] ^ mask;
	return a;
}

size_t address_embedded(const struct address *a, struct address ret_inner[2])
{
	static const uint8_t mapped[12] = { [10] = 0xff, 0xff }, compatible[12] = { 0 };
	static const uint8_t translated[12] = { [8] = 0xff, 0xff }; /* SIIT, RFC 2765 */
	static const uint8_t nat64[12] = { 0x00, 0x64, 0xff, 0x9b };
	static const uint8_t teredo[4] = { 0x20, 0x01 };
	const uint8_t *b = a->bytes;

	if (!a->v6)
		return 0;
	if (!memcmp(b, mapped, 12) || !memcmp(b, compatible, 12) || !memcmp(b, translated, 12) ||
	    !memcmp(b, nat64, 12)) {
		ret_inner[0] = v4_at(b + 12, 0);
		return 1;
	}
	if (b[0] == 0x20 && b[1] == 0x02) {
		ret_inner[0] = v4_at(b + 2, 0);
		return 1;
	}
	if (!memcmp(b, teredo, 4)) {
		ret_inner[0] = v4_at(b + 4, 0);
		ret_inner[1] = v4_at(b + 12, 0xff); /* the client's, stored inverted */
		return 2;
	}
	if ((b[8] & 0xfd) == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe) {
		ret_inner[0] = v4_at(b + 12, 0);
		return 1;
	}
	return 0;
}

int address_parse(const char *text, struct address *ret_address)
{
	struct address a = { .v6 = strchr(text, ':') != NULL };

	if (inet_pton(a.v6 ? AF_INET6 : AF_INET, text, a.bytes) != 1)
		return -EINVAL;
	*ret_address = a;
	return 0;
}

char *address_format(const struct address *a, char buffer[ADDRESS_TEXT_SIZE])
{
	if (!inet_ntop(a->v6 ? AF_INET6 : AF_INET, a->bytes, buffer, ADDRESS_TEXT_SIZE))
		buffer[0] = '\0';
	return buffer;
}

int address_from_sockaddr(const struct sockaddr *sa, struct address *ret_address, uint16_t *ret_port)
{
	struct address a = { 0 };

	if (sa->sa_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, sa, sizeof(in));
		memcpy(a.bytes, &in.sin_addr, 4);
		*ret_port = ntohs(in.sin_port);
	} else if (sa->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;

		memcpy(&in6, sa, sizeof(in6));
		memcpy(a.bytes, &in6.sin6_addr, 16);
		a.v6 = true;
		*ret_port = ntohs(in6.sin6_port);
	} else {
		return -EAFNOSUPPORT;
	}
	*ret_address = a;
	return 0;
}

socklen_t address_to_sockaddr(const struct address *a, uint16_t port, struct sockaddr_storage *out)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

	memset(out, 0, sizeof(*out));
	if (a->v6) {
		memcpy(&in6.sin6_addr, a->bytes, 16);
		memcpy(out, &in6, sizeof(in6));
		return sizeof(in6);
	}
	memcpy(&in.sin_addr, a->bytes, 4);
	memcpy(out, &in, sizeof(in));
	return sizeof(in);
}

bool address_equal(const struct address *a, const struct address *b)
{
	return a->v6 == b->v6 && memcmp(a->bytes, b->bytes, a->v6 ? 16 : 4) == 0;
}
