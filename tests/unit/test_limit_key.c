/* The limit key that a job has by its URL. */
#include "limit_key.h"
#include "tap_main.h"

static void assert_key(const char *url, const char *expected)
{
	char key[LIMIT_KEY_MAX + 1] = "";
	size_t size = limit_key_of_url(url, key);

	assert_int_equal(size, strlen(expected));
	if (size > 0)
		assert_string_equal(key, expected);
}

static void a_key_is_the_host_in_lower_case(void **state)
{
	(void)state;
	assert_key("https://api.example.com/v1/x", "api.example.com");
	assert_key("HTTP://API.Example.COM", "api.example.com");
	assert_key("http://example.com.?q", "example.com");
	assert_key("http://example.com#at", "example.com");
	assert_key("http://10.0.0.5/x@y:z", "10.0.0.5");
	assert_key("http://[2001:DB8::1]/", "[2001:db8::1]");
	assert_key("http://example.com\\@evil.test/", "example.com");
}

static void the_port_counts_unless_it_is_the_schemes_own(void **state)
{
	(void)state;
	assert_key("http://localhost:8080/", "localhost:8080");
	assert_key("http://localhost:80/", "localhost");
	assert_key("http://localhost:080", "localhost");
	assert_key("http://localhost:443/", "localhost:443");
	assert_key("https://localhost:443/", "localhost");
	assert_key("https://localhost:80/", "localhost:80");
	assert_key("http://localhost:/", "localhost");
	assert_key("http://[::1]:8080/", "[::1]:8080");
	assert_key("http://[::1]:80/", "[::1]");
}

static void user_and_password_are_no_part_of_it(void **state)
{
	(void)state;
	assert_key("http://user:secret@example.com:81/", "example.com:81");
	assert_key("http://a@b@example.com/", "example.com");
}

static void what_names_no_host_has_no_key(void **state)
{
	char url[400];

	(void)state;
	assert_key("", "");
	assert_key("example.com", "");
	assert_key("ftp://example.com/", "");
	assert_key("http:///x", "");
	assert_key("http://", "");
	assert_key("http://:8080/", "");
	assert_key("http://user@/", "");
	assert_key("http://exam ple.com/", "");
	assert_key("http://{{0#/json/host}}/x", ""); /* not known yet */
	assert_key("http://example.com/{{0#/json/path}}", "example.com");
	snprintf(url, sizeof(url), "http://%0300d/", 7);
	assert_key(url, "");
}

static void a_type_says_which_parameter_is_the_url(void **state)
{
	struct job_type type = { .name = "x", .limit_param = "target" };
	json_t *args = json_pack("{s:s, s:s, s:i}", "url", "http://a/", "target", "http://b/", "n", 1);
	char key[LIMIT_KEY_MAX + 1];

	(void)state;
	assert_int_equal(type_limit_key(&type, args, key), 1);
	assert_string_equal(key, "b");
	assert_int_equal(type_limit_key(&type, NULL, key), 0);
	type.limit_param = "n";
	assert_int_equal(type_limit_key(&type, args, key), 0);
	type.limit_param = NULL;
	assert_int_equal(type_limit_key(&type, args, key), 0);
	json_decref(args);
}

static void keys_are_visible_characters(void **state)
{
	static const char *const good[] = { "a", "api.example.com:8080", "[::1]", "customer-17", "#1!" },
				 *const bad[] = { "",     "a b",  "a/b",      "a\"b",
						  "a\\b", "\x7f", "\xc3\xa4", "a\n" };
	char longest[LIMIT_KEY_MAX + 2];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_true(limit_key_valid(span_of(good[i])));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(limit_key_valid(span_of(bad[i])));
	memset(longest, 'x', sizeof(longest));
	assert_true(limit_key_valid((struct span){ longest, LIMIT_KEY_MAX }));
	assert_false(limit_key_valid((struct span){ longest, LIMIT_KEY_MAX + 1 }));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_is_the_host_in_lower_case),
		cmocka_unit_test(the_port_counts_unless_it_is_the_schemes_own),
		cmocka_unit_test(user_and_password_are_no_part_of_it),
		cmocka_unit_test(what_names_no_host_has_no_key),
		cmocka_unit_test(a_type_says_which_parameter_is_the_url),
		cmocka_unit_test(keys_are_visible_characters),
	};

	return TAP_RUN(tests);
}
