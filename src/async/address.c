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
	{ { 0xfd, 0, 0x0e, 0xc2, [14] = 0x02, [15] = 0x54 }, 128, ADDRESS_METADATA },       /* fd00:ec2::254, AWS */
	{ { 0xfd, 0, 0x0e, 0xc2, [15] = 0x23 }, 128, ADDRESS_METADATA },                    /* fd00:ec2::23, AWS EKS */
	{ { 0xfd, 0x20, 0, 0xce, [14] = 0x02, [15] = 0x54 }, 128, ADDRESS_METADATA },       /* fd20:ce::254, Google */
	{ { 0xfd, 0, 0, 0x42, [15] = 0x42 }, 128, ADDRESS_METADATA },                       /* fd00:42::42, Scaleway */
	{ { 0xfe, 0x80, [12] = 0xa9, 0xfe, 0xa9, 0xfe }, 128, ADDRESS_METADATA },           /* fe80::a9fe:a9fe, OpenStack */
	{ { 0 }, 128, ADDRESS_UNSPECIFIED },
	{ { [15] = 1 }, 128, ADDRESS_LOOPBACK },
	{ { 0x00, 0x64, 0xff, 0x9b, 0x00, 0x01 }, 48, ADDRESS_PRIVATE },                    /* local NAT64, RFC 8215 */
	{ { 0x01 }, 64, ADDRESS_RESERVED },                                                 /* discard-only */
	{ { 0x20, 0x01, 0x0d, 0xb8 }, 32, ADDRESS_RESERVED },
	{ { 0x20, 0x01, 0x00, 0x02 }, 48, ADDRESS_RESERVED },
	{ { 0x20, 0x01, 0x00, 0x10 }, 28, ADDRESS_RESERVED },                               /* ORCHID, withdrawn */
	{ { 0x3f, 0xff }, 20, ADDRESS_RESERVED },                                           /* RFC 9637 */
	{ { 0x5f, 0x00 }, 16, ADDRESS_RESERVED },                                           /* SRv6 SIDs, RFC 9602 */
	{ { 0xfc }, 7, ADDRESS_PRIVATE },
	{ { 0xfe, 0x80 }, 10, ADDRESS_LINK_LOCAL },
	{ { 0xfe, 0xc0 }, 10, ADDRESS_PRIVATE },                                            /* site-local, withdrawn */
	{ { 0xff }, 8, ADDRESS_MULTICAST },
	{ { 0x20 }, 3, ADDRESS_PUBLIC },                                                    /* 2000::/3, global unicast */
	{ { 0x00, 0x64, 0xff, 0x9b }, 96, ADDRESS_PUBLIC },                                 /* NAT64: as what it carries */
};

static bool prefix_holds(const uint8_t *prefix, unsigned bits, const uint8_t *bytes)
{
	unsigned whole = bits / 8, rest = bits % 8;

	if (memcmp(prefix, bytes, whole) != 0)
		return false;
	return rest == 0 || ((prefix[whole] ^ bytes[whole]) & (0xff << (8 - rest)) & 0xff) == 0;
}

static enum address_kind kind_in(const struct prefix *table, size_t count, const uint8_t *bytes)
{
	for (size_t i = 0; i < count; i++)
		if (prefix_holds(table[i].bytes, table[i].bits, bytes))
			return table[i].kind;
	return ADDRESS_PUBLIC;
}

static enum address_kind kind_v4(const uint8_t *bytes)
{
	return kind_in(V4, ARRAY_SIZE(V4), bytes);
}

