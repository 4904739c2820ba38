/* test_conf.c — the option table: defaults, the file, the command line, and what is said about mistakes. */
#include "clock.h"
#include "conf.h"
#include "conf_row.h"
#include "random.h"
#include "tap_main.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct conf *parsed(const char *text)
{
	struct conf_issue issue;
	struct conf *c = NULL;
	int r = conf_parse(text, "gatherd.conf", &c, &issue);

	if (r < 0)
		print_error("%s\n", issue.text);
	assert_int_equal(r, 0);
	return c;
}

/* The text is refused, with exactly this message. */
static void assert_refused(const char *text, const char *message)
{
	struct conf_issue issue;
	struct conf *c = NULL;

	assert_int_equal(conf_parse(text, "gatherd.conf", &c, &issue), -EINVAL);
	assert_null(c);
	assert_string_equal(issue.text, message);
}

static void the_defaults_are_those_of_the_table(void **state GA_UNUSED)
{
	struct conf *c;

	assert_int_equal(conf_defaults(&c), 0);
	assert_string_equal(c->socket, "/run/gatherd/gatherd.sock");
	assert_string_equal(c->socket_mode, "0660");
	assert_string_equal(c->state_dir, "/var/lib/gatherd");
	assert_string_equal(c->runtime_dir, "/run/gatherd");
	assert_int_equal(*c->worker_dir, '/');
	assert_int_equal(c->workers, 0);
	assert_true(c->pin);
	assert_int_equal(c->capacity_light, 65536);
	assert_int_equal(c->capacity_net, 4096);
	assert_int_equal(c->capacity_proc, 64);
	assert_int_equal(c->capacity_cpu, 4);
	assert_int_equal(c->max_jobs, 1000000);
	assert_int_equal(c->args_bytes, 1 << 30);
	assert_int_equal(c->max_body, 1 << 20);
	assert_int_equal(c->max_connections, 4096);
	assert_int_equal(c->finished_bytes, 64 << 20);
	assert_true(c->result_ttl == 24 * 3600 * NSEC_PER_SEC);
	assert_true(c->failed_ttl == 180 * 24 * 3600 * NSEC_PER_SEC);
	assert_true(c->drain_timeout == 30 * NSEC_PER_SEC);
	assert_true(c->hang_warn == 2 * NSEC_PER_SEC);
	assert_true(c->hang_abort == 10 * NSEC_PER_SEC);
	assert_true(c->hang_kill == 12 * NSEC_PER_SEC);
	assert_int_equal(c->broker_restarts, 3);
	assert_true(c->broker_restart_window == 60 * NSEC_PER_SEC);
	assert_int_equal(c->worker_restarts, 5);
	assert_true(c->worker_restart_window == 10 * NSEC_PER_SEC);
	assert_string_equal(c->log_level, "info");
	assert_int_equal(c->plugins.count, 0);
	assert_int_equal(c->http_allow.count, 0);
	assert_null(c->http_allow.items[0]);
	conf_free(c);
	conf_free(NULL);
}

static void every_row_is_complete_and_distinct(void **state GA_UNUSED)
{
	for (size_t i = 0; i < conf_table_size; i++) {
		const struct conf_row *row = &conf_table[i];

		assert_true(row->help &&
			    row->help[strlen(row->help) - (row->help[strlen(row->help) - 1] == ' ') - 1] ==
				    '.');
		assert_int_equal(row->initial == NULL, row->type->field == FIELD_LIST);
		assert_ptr_equal(conf_row_find(row->name), row);
		for (size_t k = 0; k < i; k++)
			assert_int_not_equal(conf_table[k].offset, row->offset);
	}
}

static void a_file_sets_what_it_names(void **state GA_UNUSED)
{
	struct conf *c = parsed("# a comment\n"
				"workers = 2 # another\n"
				"// and another\n"
				"/* over\n two lines */ pin = off\n"
				"state_dir = \"/srv/a b#c\"\n"
				"socket=/tmp/x//y\n"
				"max_body = 64KiB\n"
				"hang.warn = 1500ms\n"
				"capacity.net = 7\n"
				"plugins = {\"/a.so\", '/b.so'}\n"
				"http.allow = {\"10.0.0.0/8\", \"localhost:8080\"}\n"
				"http.allow += {\"::1\"}\n");

	assert_int_equal(c->workers, 2);
	assert_false(c->pin);
	assert_string_equal(c->state_dir, "/srv/a b#c");
	assert_string_equal(c->socket, "/tmp/x//y");
	assert_int_equal(c->max_body, 65536);
	assert_true(c->hang_warn == 1500 * NSEC_PER_MSEC);
	assert_int_equal(c->capacity_net, 7);
	assert_int_equal(c->capacity_light, 65536);
	assert_int_equal(c->plugins.count, 2);
	assert_string_equal(c->plugins.items[1], "/b.so");
	assert_int_equal(c->http_allow.count, 3);
	assert_string_equal(c->http_allow.items[0], "10.0.0.0/8");
	assert_string_equal(c->http_allow.items[1], "localhost:8080");
	assert_string_equal(c->http_allow.items[2], "::1");
	assert_null(c->http_allow.items[3]);
	conf_free(c);
}

static void an_empty_file_is_the_defaults(void **state GA_UNUSED)
{
	static const char *const empty[] = { "", "\n", " \t\r\n", "# only this", "#a\n#b\n" };

	for (size_t i = 0; i < ARRAY_SIZE(empty); i++)
		conf_free(parsed(empty[i]));
}

static void a_wrong_value_is_named_with_its_line_and_what_is_right(void **state GA_UNUSED)
{
	assert_refused("workers = -1\n", "gatherd.conf:1: workers = -1: takes a number from 0 to 4095");
	assert_refused("# one\n# two\n/* three\n */\n\nworkers = 4096\n",
		       "gatherd.conf:6: workers = 4096: takes a number from 0 to 4095");
	assert_refused("workers = many\n",
		       "gatherd.conf:1: workers = many: takes a number from 0 to 4095");
	assert_refused("workers = 99999999999999999999\n",
		       "gatherd.conf:1: workers = 99999999999999999999: takes a number from 0 to 4095");
	assert_refused("workers = \"\"\n",
		       "gatherd.conf:1: workers = \"\": takes a number from 0 to 4095");
	assert_refused("workers = \" 1\"\n",
		       "gatherd.conf:1: workers =  1: takes a number from 0 to 4095");
	assert_refused(
		"max_body = 2MiB\n",
		"gatherd.conf:1: max_body = 2MiB: takes a size from 1KiB to 1MiB, such as 4096 or 64KiB");
	assert_refused("\nhang.kill = 2x\n",
		       "gatherd.conf:2: hang.kill = 2x: takes a duration from 100ms to 1h, "
		       "such as 30s or 1.5h");
	assert_refused("pin = yes", "gatherd.conf:1: pin = yes: takes auto or off");
	assert_refused("log_level = loud",
		       "gatherd.conf:1: log_level = loud: takes error, warning, notice, info or debug");
	assert_refused(
		"state_dir = var/lib",
		"gatherd.conf:1: state_dir = var/lib: takes an absolute path of at most 4000 bytes");
	assert_refused(
		"state_dir = \"/a\x1b[31m\"",
		"gatherd.conf:1: state_dir = /a\\x1b[31m: takes an absolute path of at most 4000 bytes");
	assert_refused("socket_mode = 0999",
		       "gatherd.conf:1: socket_mode = 0999: takes three octal digits, such as 0660");
	assert_refused("plugins = {\"/a.so\",\n\"b.so\"}",
		       "gatherd.conf:2: plugins = b.so: takes a list of absolute paths");
}

static void a_wrong_address_is_refused(void **state GA_UNUSED)
{
	static const char *const wrong[] = { "10.0.0.0/33",  "10.0.0/8",      "::/129",
					     "1.2.3.4:0",    "1.2.3.4:65536", "[::1",
					     "[10.0.0.1]:1", "a b",           "a/b",
					     "http://x",     "host:",         "",
					     "1.2.3.4.5",    "[::1]80",       "256.1.1.1" };
	static const char *const right[] = { "10.0.0.0/8", "::/0",
					     "::1",        "[::1]:80",
					     "[::1]",      "1.2.3.4:80",
					     "localhost",  "a-b.example:65535",
					     "*",          "0.0.0.0/0" };
	char text[100];

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct conf_issue issue;
		struct conf *c = NULL;

		snprintf(text, sizeof(text), "http.allow = {\"%s\"}", wrong[i]);
		if (conf_parse(text, "f", &c, &issue) != -EINVAL)
			fail_msg("%s passed", wrong[i]);
		assert_non_null(strstr(issue.text, "f:1: http.allow = "));
	}
	for (size_t i = 0; i < ARRAY_SIZE(right); i++) {
		snprintf(text, sizeof(text), "http.allow = {\"%s\"}", right[i]);
		conf_free(parsed(text));
	}
}

static void an_unknown_option_suggests_the_nearest(void **state GA_UNUSED)
{
	assert_refused("\nwrokers = 3",
		       "gatherd.conf:2: wrokers: no such option; did you mean workers?");
	assert_refused("http_allow = {}",
		       "gatherd.conf:1: http_allow: no such option; did you mean http.allow?");
	assert_refused("Workers = 3", "gatherd.conf:1: Workers: no such option; did you mean workers?");
	assert_refused("colour = red", "gatherd.conf:1: colour: no such option");
	assert_refused("include(\"/etc/passwd\")", "gatherd.conf:1: include: no such option");
}

static void wrong_syntax_is_refused_with_its_line(void **state GA_UNUSED)
{
	static const char *const wrong[] = { "workers",
					     "workers =",
					     "workers 3",
					     "workers = {1}",
					     "= 3",
					     "{",
					     "}",
					     "workers = \"3",
					     "workers = '3",
					     "http.allow = {\"a\"",
					     "http.allow {\"a\"}",
					     "http.allow = {\"a\",,\"b\"}",
					     "http.allow = {\"a\" \"b\"}",
					     "workers += 3",
					     "workers = ,",
					     "workers|x = 3",
					     "workers = 3 4" };

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct conf_issue issue;
		struct conf *c = NULL;

		if (conf_parse(wrong[i], "f", &c, &issue) != -EINVAL)
			fail_msg("%s passed", wrong[i]);
		if (strncmp(issue.text, "f:", 2) != 0)
			fail_msg("%s: %s", wrong[i], issue.text);
	}
}

static void the_hang_limits_must_rise(void **state GA_UNUSED)
{
	assert_refused("hang.warn = 10s",
		       "gatherd.conf: hang.abort = 10s: must be longer than hang.warn, which is 10s");
	assert_refused("hang.kill = 5s\n",
		       "gatherd.conf: hang.kill = 5s: must be longer than hang.abort, which is 10s");
	conf_free(parsed("hang.warn = 20s\nhang.abort = 1m\nhang.kill = 61s"));
}

static void the_command_line_sets_options_too(void **state GA_UNUSED)
{
	struct conf_issue issue;
	struct conf *c = parsed("workers = 3");

	assert_int_equal(conf_set(c, "workers=2", &issue), 0);
	assert_int_equal(c->workers, 2);
	assert_int_equal(conf_set(c, "socket=/tmp/a=b c", &issue), 0);
	assert_string_equal(c->socket, "/tmp/a=b c");
	assert_int_equal(conf_set(c, "pin=off", &issue), 0);
	assert_false(c->pin);
	assert_int_equal(conf_set(c, "http.allow=10.0.0.0/8 localhost:80,::1", &issue), 0);
	assert_int_equal(c->http_allow.count, 3);
	assert_int_equal(conf_set(c, "http.allow={\"127.0.0.0/8\", \"::1\"}", &issue), 0);
	assert_int_equal(c->http_allow.count, 2);
	assert_string_equal(c->http_allow.items[0], "127.0.0.0/8");
	assert_int_equal(conf_set(c, "http.allow=", &issue), 0);
	assert_int_equal(c->http_allow.count, 0);
	conf_free(c);
}

static void a_wrong_assignment_changes_nothing(void **state GA_UNUSED)
{
	static const struct {
		const char *assignment, *message;
	} cases[] = {
		{ "workers=-2", "workers = -2: takes a number from 0 to 4095" },
		{ "workers", "workers: takes a value: workers=NUMBER" },
		{ "worker=2", "worker: no such option; did you mean workers?" },
		{ "=2", ": no such option" },
		{ "", ": no such option" },
		{ "hang.warn=11s", "hang.abort = 10s: must be longer than hang.warn, which is 11s" },
		{ "socket=x", "socket = x: takes an absolute path of at most 107 bytes" },
		{ "plugins=/a.so b.so", "plugins = b.so: takes a list of absolute paths" },
	};
	struct conf *c = parsed("workers = 3\nplugins = {\"/x.so\"}");
	char *before = conf_dump(c), *after;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct conf_issue issue;

		assert_int_equal(conf_set(c, cases[i].assignment, &issue), -EINVAL);
		assert_string_equal(issue.text, cases[i].message);
	}
	after = conf_dump(c);
	assert_string_equal(before, after);
	free(before);
	free(after);
	conf_free(c);
}

/* A path with all that the file's syntax could trip over. */
static void random_path(struct random *source, char path[80])
{
	static const char *const pieces[] = { "a",   "\"",       "'",    "\\", "$",  "{",
					      "}",   "${HOME}",  "#",    "//", "/*", "*/",
					      " ",   "=",        ",",    "(",  ")",  "+",
					      "\\n", "\xc3\xa4", "\\x41" };
	size_t count = random_below(source, 10);

	strcpy(path, "/p");
	while (count-- > 0)
		strcat(path, pieces[random_below(source, ARRAY_SIZE(pieces))]);
}

static void what_is_dumped_is_parsed_to_the_same(void **state GA_UNUSED)
{
	struct random source;

	random_seed(&source, 3);
	for (int round = 0; round < 500; round++) {
		char paths[4][80], *first, *second;
		struct conf_issue issue;
		struct conf *c, *again;

		for (int i = 0; i < 4; i++)
			random_path(&source, paths[i]);
		assert_int_equal(conf_defaults(&c), 0);
		free(c->state_dir);
		c->state_dir = strdup(paths[0]);
		c->workers = (int64_t)random_below(&source, 4097);
		c->max_body = 1024 + (int64_t)random_below(&source, 1000000);
		c->hang_warn = NSEC_PER_SEC + (int64_t)random_below(&source, 1000000000);
		c->pin = random_below(&source, 2);
		assert_int_equal(conf_assign(c, conf_row_find("plugins"),
					     (const char *const[]){ paths[1], paths[2], paths[3] },
					     random_below(&source, 4), &(const char *){ NULL }),
				 0);
		first = conf_dump(c);
		if (conf_parse(first, "dump", &again, &issue) < 0)
			fail_msg("%s\n%s", issue.text, first);
		assert_string_equal(again->state_dir, paths[0]);
		assert_true(again->hang_warn == c->hang_warn);
		second = conf_dump(again);
		assert_string_equal(first, second);
		free(first);
		free(second);
		conf_free(c);
		conf_free(again);
	}
}

static void an_option_is_told_by_its_name(void **state GA_UNUSED)
{
	static const struct {
		const char *name, *text;
	} cases[] = { { "workers", "3" },      { "pin", "off" },
		      { "max_body", "64KiB" }, { "hang.abort", "10s" },
		      { "log_level", "info" }, { "http.allow", "::1 localhost" },
		      { "plugins", "" },       { "result_ttl", "1d" } };
	struct conf *c = parsed("workers=3\npin=off\nmax_body=65536\nhttp.allow={\"::1\",localhost}");

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *text = conf_text(c, cases[i].name);

		assert_string_equal(text, cases[i].text);
		free(text);
	}
	assert_null(conf_text(c, "wrokers"));
	conf_free(c);
}

static void a_reload_leaves_what_needs_a_restart(void **state GA_UNUSED)
{
	struct conf *now = parsed("workers = 1\nlog_level = info\nplugins = {\"/a.so\"}");
	struct conf *next =
		parsed("workers = 2\nlog_level = debug\nsocket = /x/y\nplugins = {\"/b.so\"}");
	struct conf_issue kept;

	assert_int_equal(conf_reload(now, next, &kept), 3);
	assert_string_equal(kept.text, "socket plugins workers");
	assert_int_equal(next->workers, 1);
	assert_string_equal(next->plugins.items[0], "/a.so");
	assert_string_equal(next->log_level, "debug");
	assert_int_equal(conf_reload(now, next, &kept), 0);
	assert_string_equal(kept.text, "");
	conf_free(now);
	conf_free(next);
}

static void write_file(const char *directory, const char *name, const void *content, size_t size)
{
	char path[200];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(content, 1, size, f), size);
	assert_int_equal(fclose(f), 0);
}

static void write_text(const char *directory, const char *name, const char *text)
{
	write_file(directory, name, text, strlen(text));
}

static int new_directory(void **state)
{
	char template[] = "/tmp/test_conf.XXXXXX", path[200];

	if (!mkdtemp(template))
		return -1;
	snprintf(path, sizeof(path), "%s/conf.d", template);
	*state = strdup(template);
	return mkdir(path, 0700);
}

static int remove_directory(void **state)
{
	char command[300];

	snprintf(command, sizeof(command), "rm -rf '%s'", (char *)*state);
	free(*state);
	return system(command);
}

static int load(const char *directory, struct conf **ret_conf, struct conf_issue *issue)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/gatherd.conf", directory);
	return conf_load(path, ret_conf, issue);
}

static void later_files_override_in_the_order_of_their_names(void **state)
{
	struct conf_issue issue;
	struct conf *c;

	write_text(*state, "gatherd.conf",
		   "workers = 1\nmax_jobs = 5\nhttp.allow = {\"::1\"}\nsocket_mode = 0600\n");
	write_text(*state, "conf.d/20-b.conf", "workers = 3\nhttp.allow += {localhost}\n");
	write_text(*state, "conf.d/10-a.conf", "workers = 2\nsocket_mode = 0666\n");
	write_text(*state, "conf.d/30.conf~", "workers = 9\n");
	write_text(*state, "conf.d/.40.conf", "workers = 9\n");
	assert_int_equal(load(*state, &c, &issue), 0);
	assert_int_equal(c->workers, 3);
	assert_int_equal(c->max_jobs, 5);
	assert_string_equal(c->socket_mode, "0666");
	assert_int_equal(c->http_allow.count, 2);
	conf_free(c);
}

static void a_list_is_emptied_by_a_later_file(void **state)
{
	struct conf_issue issue;
	struct conf *c;

	write_text(*state, "gatherd.conf", "http.allow = {\"::1\"}\n");
	write_text(*state, "conf.d/a.conf", "http.allow = {}\n");
	assert_int_equal(load(*state, &c, &issue), 0);
	assert_int_equal(c->http_allow.count, 0);
	conf_free(c);
}

static void a_mistake_in_a_further_file_names_that_file(void **state)
{
	struct conf_issue issue;
	struct conf *c;

	write_text(*state, "gatherd.conf", "workers = 1\n");
	write_text(*state, "conf.d/a.conf", "# x\nworkers = x\n");
	assert_int_equal(load(*state, &c, &issue), -EINVAL);
	assert_non_null(strstr(issue.text, "/conf.d/a.conf:2: workers = x: takes a number"));
}

static void what_is_no_configuration_is_refused(void **state)
{
	struct conf_issue issue;
	struct conf *c = NULL;
	char *large;

	assert_int_equal(load(*state, &c, &issue), -ENOENT);
	assert_non_null(strstr(issue.text, "gatherd.conf: No such file or directory"));
	write_file(*state, "gatherd.conf", "workers = 1\n\0workers = 2\n", 24);
	assert_int_equal(load(*state, &c, &issue), -EINVAL);
	assert_non_null(strstr(issue.text, "not a text file in UTF-8"));
	write_text(*state, "gatherd.conf", "# \xff\n");
	assert_int_equal(load(*state, &c, &issue), -EINVAL);
	large = calloc(1, (1 << 20) + 1);
	memset(large, '\n', (1 << 20) + 1);
	write_file(*state, "gatherd.conf", large, (1 << 20) + 1);
	assert_int_equal(load(*state, &c, &issue), -EFBIG);
	free(large);
	assert_int_equal(conf_load(*state, &c, &issue), -EISDIR);
	assert_null(c);
}

/* GATHER_EXAMPLE is the path of config/gatherd.conf. */
static void the_example_file_is_the_tables(void **state GA_UNUSED)
{
	char *want = NULL, *got = calloc(1, 1 << 20);
	size_t want_size, got_size;
	FILE *f = open_memstream(&want, &want_size);

	assert_non_null(f);
	conf_example(f);
	fclose(f);
	f = fopen(GATHER_EXAMPLE, "r");
	assert_non_null(f);
	got_size = fread(got, 1, (1 << 20) - 1, f);
	fclose(f);
	if (want_size != got_size || memcmp(want, got, got_size) != 0)
		fail_msg("config/gatherd.conf isn't what `conf_print example` prints");
	free(want);
	free(got);
}

/* With every # before an option taken off. */
static void each_line_of_the_example_is_right(void **state GA_UNUSED)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	conf_example(f);
	fclose(f);
	for (char *p = text; p; p = strchr(p + 1, '\n')) {
		char *hash = *p == '\n' ? p + 1 : p;

		if (hash[0] == '#' && hash[1] != ' ')
			hash[0] = ' ';
	}
	conf_free(parsed(text));
	free(text);
}

static void help_and_manual_name_every_option(void **state GA_UNUSED)
{
	void (*const forms[])(FILE *) = { conf_help, conf_manual };

	for (size_t form = 0; form < ARRAY_SIZE(forms); form++) {
		char *text = NULL;
		size_t size;
		FILE *f = open_memstream(&text, &size);

		forms[form](f);
		fclose(f);
		for (size_t i = 0; i < conf_table_size; i++)
			assert_non_null(strstr(text, conf_table[i].name));
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_defaults_are_those_of_the_table),
		cmocka_unit_test(every_row_is_complete_and_distinct),
		cmocka_unit_test(a_file_sets_what_it_names),
		cmocka_unit_test(an_empty_file_is_the_defaults),
		cmocka_unit_test(a_wrong_value_is_named_with_its_line_and_what_is_right),
		cmocka_unit_test(a_wrong_address_is_refused),
		cmocka_unit_test(an_unknown_option_suggests_the_nearest),
		cmocka_unit_test(wrong_syntax_is_refused_with_its_line),
		cmocka_unit_test(the_hang_limits_must_rise),
		cmocka_unit_test(the_command_line_sets_options_too),
		cmocka_unit_test(a_wrong_assignment_changes_nothing),
		cmocka_unit_test(what_is_dumped_is_parsed_to_the_same),
		cmocka_unit_test(an_option_is_told_by_its_name),
		cmocka_unit_test(a_reload_leaves_what_needs_a_restart),
		cmocka_unit_test_setup_teardown(later_files_override_in_the_order_of_their_names,
						new_directory, remove_directory),
		cmocka_unit_test_setup_teardown(a_list_is_emptied_by_a_later_file, new_directory,
						remove_directory),
		cmocka_unit_test_setup_teardown(a_mistake_in_a_further_file_names_that_file,
						new_directory, remove_directory),
		cmocka_unit_test_setup_teardown(what_is_no_configuration_is_refused, new_directory,
						remove_directory),
		cmocka_unit_test(the_example_file_is_the_tables),
		cmocka_unit_test(each_line_of_the_example_is_right),
		cmocka_unit_test(help_and_manual_name_every_option),
	};

	return TAP_RUN(tests);
}
