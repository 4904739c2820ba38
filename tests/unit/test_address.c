/*
 * test_address.c — which addresses are what, and which may be called.
 */
#include "tap_main.h"

#include "address.h"

#include <errno.h>
#include <string.h>

static enum address_kind kind(const char *text)
{
	struct address a;

	assert_int_equal(address_parse(text, &a), 0);
	return address_kind(&a);
}

static const struct {
	const char *text;
	enum address_kind kind;
} KINDS[] = {
	{ "8.8.8.8", ADDRESS_PUBLIC },
	{ "9.255.255.255", ADDRESS_PUBLIC },
	{ "11.0.0.0", ADDRESS_PUBLIC },
	{ "172.15.255.255", ADDRESS_PUBLIC },
	{ "172.32.0.0", ADDRESS_PUBLIC },
	{ "192.167.255.255", ADDRESS_PUBLIC },
	{ "100.63.255.255", ADDRESS_PUBLIC },
	{ "100.128.0.0", ADDRESS_PUBLIC },
	{ "2606:4700::1111", ADDRESS_PUBLIC },
	{ "10.0.0.0", ADDRESS_PRIVATE },
	{ "10.255.255.255", ADDRESS_PRIVATE },
	{ "172.16.0.1", ADDRESS_PRIVATE },
	{ "172.31.255.255", ADDRESS_PRIVATE },
	{ "192.168.1.1", ADDRESS_PRIVATE },
	{ "fc00::1", ADDRESS_PRIVATE },
	{ "fdff::1", ADDRESS_PRIVATE },
	{ "fec0::1", ADDRESS_PRIVATE },
	{ "127.0.0.1", ADDRESS_LOOPBACK },
	{ "127.255.255.254", ADDRESS_LOOPBACK },
	{ "::1", ADDRESS_LOOPBACK },
	{ "0.0.0.0", ADDRESS_UNSPECIFIED },
	{ "0.1.2.3", ADDRESS_UNSPECIFIED },
	{ "::", ADDRESS_UNSPECIFIED },
	{ "169.254.1.1", ADDRESS_LINK_LOCAL },
	{ "fe80::1", ADDRESS_LINK_LOCAL },
	{ "febf::1", ADDRESS_LINK_LOCAL },
	{ "169.254.169.254", ADDRESS_METADATA },
	{ "169.254.170.2", ADDRESS_METADATA },
	{ "100.100.100.200", ADDRESS_METADATA },
	{ "168.63.129.16", ADDRESS_METADATA },
	{ "fd00:ec2::254", ADDRESS_METADATA },
	{ "fe80::a9fe:a9fe", ADDRESS_METADATA },
	{ "100.64.0.1", ADDRESS_SHARED },
	{ "100.127.255.255", ADDRESS_SHARED },
	{ "224.0.0.1", ADDRESS_MULTICAST },
	{ "ff02::1", ADDRESS_MULTICAST },
	{ "240.0.0.1", ADDRESS_RESERVED },
	{ "255.255.255.255", ADDRESS_RESERVED },
	{ "198.18.0.1", ADDRESS_RESERVED },
	{ "192.0.2.1", ADDRESS_RESERVED },
	{ "2001:db8::1", ADDRESS_RESERVED },
	{ "4000::1", ADDRESS_RESERVED },
	{ "100::1", ADDRESS_RESERVED },
	/* IPv4 inside IPv6 */
	{ "::ffff:127.0.0.1", ADDRESS_LOOPBACK },
	{ "::ffff:10.1.2.3", ADDRESS_PRIVATE },
	{ "::ffff:169.254.169.254", ADDRESS_METADATA },
	{ "::ffff:8.8.8.8", ADDRESS_PUBLIC },
	{ "::ffff:0:127.0.0.1", ADDRESS_LOOPBACK },
	{ "::127.0.0.1", ADDRESS_LOOPBACK },
	{ "64:ff9b::127.0.0.1", ADDRESS_LOOPBACK },
	{ "64:ff9b::a9fe:a9fe", ADDRESS_METADATA },
	{ "64:ff9b::8.8.8.8", ADDRESS_PUBLIC },
	{ "64:ff9b:1::8.8.8.8", ADDRESS_PRIVATE },
	{ "2002:7f00:1::", ADDRESS_LOOPBACK },
	{ "2002:a9fe:a9fe::1", ADDRESS_METADATA },
	{ "2002:808:808::1", ADDRESS_PUBLIC },
	{ "2001:0:808:808::80ff:fffe", ADDRESS_LOOPBACK }, /* Teredo: the client is 127.0.0.1 */
	{ "2001:0:7f00:1::f7f7:f7f7", ADDRESS_LOOPBACK },  /* Teredo: the server is */
	{ "2001:0:808:808::f7f7:f7f7", ADDRESS_PUBLIC },
	{ "2001:470::5efe:a00:1", ADDRESS_PRIVATE }, /* ISATAP */
	{ "2001:470::200:5efe:a00:1", ADDRESS_PRIVATE },
};

static void each_address_has_the_kind_of_where_it_leads(void **state GA_UNUSED)
{
	for (size_t i = 0; i < ARRAY_SIZE(KINDS); i++) {
		if (kind(KINDS[i].text) != KINDS[i].kind)
			fail_msg("%s is %s", KINDS[i].text, address_kind_text(kind(KINDS[i].text)));
	}
}

static void only_the_usual_notation_is_an_address(void **state GA_UNUSED)
{
	static const char *const bad[] = { "",          "127.1",        "2130706433", "0x7f.0.0.1",
					   "010.0.0.1", "1.2.3.4.",     "1.2.3.4.5",  "256.1.1.1",
					   "[::1]",     "fe80::1%eth0", "::1::",      "1.2.3.4/8",
					   "localhost", " 1.2.3.4",     ":" };
	struct address a;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(address_parse(bad[i], &a), -EINVAL);
}

/* Whether `allow` lets host (an address by itself, if NULL) at `address` be called. */
static bool allowed(const char *allow, const char *host, const char *address, uint16_t port)
{
	struct address_policy *p;
	struct address a;
	char error[256];
	int r;

	if (address_policy_new(allow, error, sizeof(error), &p) < 0)
		fail_msg("%s", error);
	assert_int_equal(address_parse(address, &a), 0);
	r = address_policy_check(p, host ? host : address, &a, port);
	address_policy_free(p);
	assert_true(r == 0 || r == -EACCES);
	return r == 0;
}

static void an_empty_list_allows_public_addresses_alone(void **state GA_UNUSED)
{
	for (size_t i = 0; i < ARRAY_SIZE(KINDS); i++) {
		assert_int_equal(allowed(NULL, NULL, KINDS[i].text, 80),
				 KINDS[i].kind == ADDRESS_PUBLIC);
		assert_int_equal(allowed("  ", NULL, KINDS[i].text, 80),
				 KINDS[i].kind == ADDRESS_PUBLIC);
	}
}

static void everything_opens_all_but_metadata(void **state GA_UNUSED)
{
	for (size_t i = 0; i < ARRAY_SIZE(KINDS); i++) {
		assert_int_equal(allowed("*", NULL, KINDS[i].text, 80),
				 KINDS[i].kind != ADDRESS_METADATA);
		assert_int_equal(allowed("0.0.0.0/0 ::/0", NULL, KINDS[i].text, 80),
				 KINDS[i].kind != ADDRESS_METADATA);
	}
}

static void a_range_opens_what_it_holds(void **state GA_UNUSED)
{
	assert_true(allowed("10.0.0.0/8", NULL, "10.255.0.1", 80));
	assert_false(allowed("10.0.0.0/8", NULL, "192.168.0.1", 80));
	assert_true(allowed("10.1.0.0/17", NULL, "10.1.127.255", 80));
	assert_false(allowed("10.1.0.0/17", NULL, "10.1.128.0", 80));
	assert_true(allowed("fd00::/8,10.0.0.5", NULL, "10.0.0.5", 80));
	assert_true(allowed("fd00::/8,10.0.0.5", NULL, "fd12::1", 80));
	assert_false(allowed("fd00::/8,10.0.0.5", NULL, "10.0.0.6", 80));
	assert_true(allowed("10.0.0.0/8:8080", NULL, "10.0.0.6", 8080));
	assert_false(allowed("10.0.0.0/8:8080", NULL, "10.0.0.6", 80));
	assert_false(allowed("fd00::/8", NULL, "fd00:ec2::254", 80));
	assert_false(allowed("169.254.0.0/16", "metadata", "169.254.169.254", 80));
}

static void a_listed_address_is_open_in_its_other_forms(void **state GA_UNUSED)
{
	assert_true(allowed("127.0.0.1", NULL, "::ffff:127.0.0.1", 80));
	assert_false(allowed("127.0.0.1", NULL, "::ffff:127.0.0.2", 80));
	assert_false(allowed("127.0.0.1:81", NULL, "::ffff:127.0.0.1", 80));
	assert_false(allowed("127.0.0.1", NULL, "::1", 80));
	assert_false(allowed("64:ff9b::/96", NULL, "64:ff9b::a9fe:a9fe", 80));
}

static void a_port_and_brackets_are_understood(void **state GA_UNUSED)
{
	assert_true(allowed("[::1]:80", NULL, "::1", 80));
	assert_false(allowed("[::1]:80", NULL, "::1", 81));
	assert_true(allowed("[::1]", NULL, "::1", 81));
	assert_true(allowed("127.0.0.1:8080", NULL, "127.0.0.1", 8080));
	assert_false(allowed("127.0.0.1:8080", NULL, "127.0.0.1", 8081));
}

static void a_name_opens_what_it_resolves_to(void **state GA_UNUSED)
{
	assert_true(allowed("localhost:8080", "localhost", "127.0.0.1", 8080));
	assert_true(allowed("LOCALHOST:8080", "localhost", "::1", 8080));
	assert_false(allowed("localhost:8080", "localhost", "127.0.0.1", 80));
	assert_false(allowed("localhost:8080", "127.0.0.1", "127.0.0.1", 8080));
	assert_false(allowed("db.internal", "evil.db.internal", "10.0.0.1", 80));
	assert_false(allowed("db.internal", "db.internal", "169.254.169.254", 80));
}

static void a_bad_list_is_refused_with_its_entry(void **state GA_UNUSED)
{
	static const char *const bad[] = {
		"10.0.0.0/33",
		"10.0.0.0/",
		"10.0.0.0/-1",
		"10.0.0.0/08",
		"10.0.0.1/8",
		"::/129",
		"localhost:0",
		"a:70000",
		"a:+1",
		"[::1",
		"[::1]x",
		"1.2.3",
		"169.254.169.254",
		"0x7f.1",
		"2130706433",
		"100.100.100.200:80",
		"fd00:ec2::254",
		"ex ample..",
		"b\303\274cher.de",
		"http://x/",
		"*:80",
		"a_b*",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct address_policy *p = NULL;
		char error[256] = "";

		if (address_policy_new(bad[i], error, sizeof(error), &p) != -EINVAL)
			fail_msg("%s was taken", bad[i]);
		assert_null(p);
		assert_non_null(strchr(error, '"'));
	}
}

static void a_very_long_list_or_entry_is_refused(void **state GA_UNUSED)
{
	struct address_policy *p = NULL;
	char list[8192], error[64];

	memset(list, 'a', sizeof(list) - 1);
	list[sizeof(list) - 1] = '\0';
	assert_int_equal(address_policy_new(list, error, sizeof(error), &p), -EINVAL);
	for (size_t i = 1; i < sizeof(list) - 1; i += 2)
		list[i] = ' ';
	assert_int_equal(address_policy_new(list, error, sizeof(error), &p), -EINVAL);
}

static void refusal_is(const char *host, const char *address, uint16_t port, const char *expected)
{
	struct address a;
	char text[512];

	assert_int_equal(address_parse(address, &a), 0);
	assert_string_equal(address_refusal(host, &a, port, text, sizeof(text)), expected);
}

static void a_refusal_names_its_remedy(void **state GA_UNUSED)
{
	refusal_is("10.0.0.5", "10.0.0.5", 80,
		   "10.0.0.5 is a private address; allow it in gatherd.conf: http.allow = {\"10.0.0.0/8\"}");
	refusal_is("192.168.0.5", "192.168.0.5", 80,
		   "192.168.0.5 is a private address; allow it in gatherd.conf: http.allow = {\"192.168.0.0/16\"}");
	refusal_is("localhost", "127.0.0.1", 8080,
		   "localhost (127.0.0.1) is a loopback address; allow it in gatherd.conf: http.allow = "
		   "{\"127.0.0.1:8080\"}");
	refusal_is("::1", "::1", 8080,
		   "::1 is a loopback address; allow it in gatherd.conf: http.allow = {\"[::1]:8080\"}");
	refusal_is("169.254.169.254", "169.254.169.254", 80,
		   "169.254.169.254 is a cloud metadata address; these stay shut");
}

static void what_a_refusal_names_does_allow(void **state GA_UNUSED)
{
	for (size_t i = 0; i < ARRAY_SIZE(KINDS); i++) {
		char text[512], *entry, *end;
		struct address a;

		if (KINDS[i].kind == ADDRESS_PUBLIC || KINDS[i].kind == ADDRESS_METADATA)
			continue;
		assert_int_equal(address_parse(KINDS[i].text, &a), 0);
		address_refusal(KINDS[i].text, &a, 8080, text, sizeof(text));
		entry = strchr(text, '"') + 1;
		end = strchr(entry, '"');
		*end = '\0';
		assert_true(allowed(entry, NULL, KINDS[i].text, 8080));
	}
}

static void socket_addresses_go_both_ways(void **state GA_UNUSED)
{
	static const char *const texts[] = { "1.2.3.4", "2001:db8::7" };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct sockaddr_storage sa;
		struct address a, b;
		uint16_t port = 0;
		char text[ADDRESS_TEXT_SIZE];

		assert_int_equal(address_parse(texts[i], &a), 0);
		assert_true(address_to_sockaddr(&a, 443, &sa) > 0);
		assert_int_equal(address_from_sockaddr((struct sockaddr *)&sa, &b, &port), 0);
		assert_int_equal(port, 443);
		assert_true(address_equal(&a, &b));
		assert_string_equal(address_format(&b, text), texts[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_address_has_the_kind_of_where_it_leads),
		cmocka_unit_test(only_the_usual_notation_is_an_address),
		cmocka_unit_test(an_empty_list_allows_public_addresses_alone),
		cmocka_unit_test(everything_opens_all_but_metadata),
		cmocka_unit_test(a_range_opens_what_it_holds),
		cmocka_unit_test(a_listed_address_is_open_in_its_other_forms),
		cmocka_unit_test(a_port_and_brackets_are_understood),
		cmocka_unit_test(a_name_opens_what_it_resolves_to),
		cmocka_unit_test(a_bad_list_is_refused_with_its_entry),
		cmocka_unit_test(a_very_long_list_or_entry_is_refused),
		cmocka_unit_test(a_refusal_names_its_remedy),
		cmocka_unit_test(what_a_refusal_names_does_allow),
		cmocka_unit_test(socket_addresses_go_both_ways),
	};

	return TAP_RUN(tests);
}
