#include "tap_main.h"

#include "limits.h"
#include "registry.h"
#include "settings.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void expect_bad(const char *directory, const char *plugin, const char *culprit, const char *reason)
{
	char *plugins[] = { (char *)(uintptr_t)plugin, NULL };
	struct registry_options options = { .directory = directory, .plugins = plugins };
	struct registry *r = NULL;
	char why[512] = "";

	assert_int_equal(registry_load(&options, &r, why, sizeof(why)), -EINVAL);
	assert_null(r);
	if (!strstr(why, culprit) || !strstr(why, reason))
		print_message("# \"%s\" lacks \"%s\" or \"%s\"\n", why, culprit, reason);
	assert_non_null(strstr(why, culprit));
	assert_non_null(strstr(why, reason));
}

static void the_built_in_types_load_and_are_sorted(void **state)
{
	struct registry_options options = { .directory = WORKERS_DIR };
	struct registry *r = NULL;
	char why[512];
	size_t count;

	(void)state;
	assert_int_equal(registry_load(&options, &r, why, sizeof(why)), 0);
	count = type_table_size(registry_table(r));
	assert_true(count >= 3);
	for (size_t i = 0; i < count; i++) {
		assert_string_equal(registry_type(r, i)->declaration.name,
				    type_at(registry_table(r), i)->name);
		assert_ptr_equal(registry_type(r, i)->entry, type_at(registry_table(r), i));
	}
	assert_null(registry_type(r, count));
	registry_free(r);
}

static void a_plugin_joins_them_and_its_defaults_are_parsed(void **state)
{
	char *plugins[] = { (char *)(uintptr_t)TEST_WORKERS_DIR "/trouble.so", NULL };
	struct registry_options options = { .directory = WORKERS_DIR, .plugins = plugins };
	const struct job_type *echo;
	struct registry *r = NULL;
	char why[512];

	(void)state;
	assert_int_equal(registry_load(&options, &r, why, sizeof(why)), 0);
	echo = type_find(registry_table(r), SPAN("echo"));
	assert_non_null(echo);
	assert_string_equal(json_string_value(registry_type(r, echo->index)->presets[0]), "hello");
	assert_non_null(type_find(registry_table(r), SPAN("noop")));
	registry_free(r);
}

static void the_same_modules_give_the_same_hash(void **state)
{
	struct registry_options options = { .directory = WORKERS_DIR };
	struct registry *a, *b;
	char why[512];

	(void)state;
	assert_int_equal(registry_load(&options, &a, why, sizeof(why)), 0);
	assert_int_equal(registry_load(&options, &b, why, sizeof(why)), 0);
	assert_true(type_table_hash(registry_table(a)) == type_table_hash(registry_table(b)));
	registry_free(a);
	registry_free(b);
}

static void a_bad_module_is_named_with_the_reason(void **state)
{
	(void)state;
	expect_bad(NULL, "/nowhere/x.so", "/nowhere/x.so", "can't be loaded");
	expect_bad(NULL, TEST_WORKERS_DIR "/not_a_plugin.so", "not_a_plugin.so", "GA_PLUGIN");
	expect_bad(NULL, TEST_WORKERS_DIR "/bad_abi.so", "bad_abi.so", "ABI 2");
	expect_bad(NULL, TEST_WORKERS_DIR "/bad_type.so", "bad_type.so", "one handler");
	expect_bad("/nowhere", NULL, "/nowhere", "worker_dir");
	expect_bad("/proc/self/net", NULL, "/proc/self/net", "worker_dir");
}

static void two_modules_with_one_type_are_both_named(void **state)
{
	char *plugins[] = { (char *)(uintptr_t)TEST_WORKERS_DIR "/trouble.so",
			    (char *)(uintptr_t)TEST_WORKERS_DIR "/bad_twin.so", NULL };
	struct registry_options options = { .plugins = plugins };
	struct registry *r = NULL;
	char why[512] = "";

	(void)state;
	assert_int_equal(registry_load(&options, &r, why, sizeof(why)), -EINVAL);
	assert_non_null(strstr(why, "bad_twin.so: type echo"));
	assert_non_null(strstr(why, "trouble.so"));
}

static void what_is_no_shared_object_is_refused(void **state)
{
	char path[] = "/tmp/gather-test-XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "hello", 5), 5);
	close(fd);
	expect_bad(NULL, path, path, "can't be loaded");
	unlink(path);
}

static void net_capacity_follows_the_descriptors(void **state)
{
	(void)state;
	assert_int_equal(limits_net(4096, 65536), 4096);
	assert_int_equal(limits_net(4096, 1024), 672);
	assert_int_equal(limits_net(4096, 64), 1);
	assert_int_equal(limits_net(10, 1024), 10);
	assert_int_equal(limits_net(1000000, UINT64_MAX), 1000000);
}

static void settings_are_those_of_the_configuration(void **state)
{
	struct conf_issue issue;
	struct conf *first, *second;
	const char *before;

	(void)state;
	assert_null(ga_worker_setting("http.allow"));
	assert_int_equal(conf_defaults(&first), 0);
	assert_int_equal(conf_defaults(&second), 0);
	assert_int_equal(conf_set(second, "http.allow=10.0.0.0/8 localhost:8080", &issue), 0);
	settings_use(first);
	before = ga_worker_setting("capacity.light");
	assert_non_null(before);
	assert_ptr_equal(ga_worker_setting("capacity.light"), before);
	assert_string_equal(ga_worker_setting("http.allow"), "");
	assert_null(ga_worker_setting("no.such"));
	settings_use(second);
	assert_string_equal(ga_worker_setting("http.allow"), "10.0.0.0/8 localhost:8080");
	assert_int_not_equal(*before, '\0'); /* still readable */
	settings_use(NULL);
	conf_free(first);
	conf_free(second);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_built_in_types_load_and_are_sorted),
		cmocka_unit_test(a_plugin_joins_them_and_its_defaults_are_parsed),
		cmocka_unit_test(the_same_modules_give_the_same_hash),
		cmocka_unit_test(a_bad_module_is_named_with_the_reason),
		cmocka_unit_test(two_modules_with_one_type_are_both_named),
		cmocka_unit_test(what_is_no_shared_object_is_refused),
		cmocka_unit_test(net_capacity_follows_the_descriptors),
		cmocka_unit_test(settings_are_those_of_the_configuration),
	};

	return TAP_RUN(tests);
}
