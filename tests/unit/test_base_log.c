#include "job_terms.h"
#include "log.h"
#include "refusal.h"
#include "tap_main.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Run `fn` in a child whose stderr is a pipe; what it wrote goes to `out`, its exit status is returned. */
static int capture(void (*fn)(void), char *out, size_t size)
{
	int ends[2], status;
	ssize_t got;
	size_t used = 0;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(ends[1], STDERR_FILENO);
		fn();
		_exit(0);
	}
	close(ends[1]);
	while (used < size - 1 && (got = read(ends[0], out + used, size - 1 - used)) > 0)
		used += (size_t)got;
	out[used] = '\0';
	close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void log_two_lines(void)
{
	log_open("worker 1", LEVEL_INFO);
	log_info("started %d", 7);
	log_debug("hidden");
	log_error("failed");
}

static void a_line_has_time_role_and_level(void **state)
{
	char out[4096], expected[4096];
	char *second;

	(void)state;
	unsetenv("JOURNAL_STREAM");
	capture(log_two_lines, out, sizeof(out));
	second = strchr(out, '\n') + 1;
	snprintf(expected, sizeof(expected),
		 "%.23s worker 1: started 7\n%.23s worker 1 error: failed\n", out, second);
	assert_string_equal(out, expected);
	assert_true(out[4] == '-' && out[13] == ':' && out[19] == '.');
}

static void set_journal_to(uintmax_t inode_off)
{
	struct stat st;
	char text[64];

	if (fstat(STDERR_FILENO, &st) < 0)
		_exit(1);
	snprintf(text, sizeof(text), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino + inode_off);
	setenv("JOURNAL_STREAM", text, 1);
}

static void set_journal(void)
{
	set_journal_to(0);
}

static void log_to_journal(void)
{
	set_journal();
	log_two_lines();
}

static void log_beside_journal(void)
{
	set_journal_to(1);
	log_two_lines();
}

static void the_journal_gets_priorities_instead(void **state)
{
	char out[4096];

	(void)state;
	capture(log_to_journal, out, sizeof(out));
	assert_string_equal(out, "<6>worker 1: started 7\n<3>worker 1: failed\n");
	capture(log_beside_journal, out, sizeof(out));
	assert_true(out[0] != '<');
}

static void log_hostile(void)
{
	set_journal();
	log_open("broker", LEVEL_DEBUG);
	log_debug("name %s", "a\n<0>forged\x1b[0m");
	log_set_level(LEVEL_ERROR);
	log_warning("hidden");
	errno = ENOENT;
	log_error("%m");
	if (errno != ENOENT)
		_exit(1);
}

static void values_cannot_forge_lines_and_errno_survives(void **state)
{
	char out[4096];

	(void)state;
	assert_int_equal(capture(log_hostile, out, sizeof(out)), 0);
	assert_string_equal(
		out, "<7>broker: name a\\x0a<0>forged\\x1b[0m\n<3>broker: No such file or directory\n");
}

static void log_long(void)
{
	char text[10000];

	set_journal();
	memset(text, '\n', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_open("a role with a name that is far too long for it", LEVEL_INFO);
	log_info("%s", text);
}

static void a_long_line_is_cut(void **state)
{
	char out[20000];

	(void)state;
	assert_int_equal(capture(log_long, out, sizeof(out)), 0);
	assert_in_range(strlen(out), 2000, 2200);
	assert_int_equal(out[strlen(out) - 1], '\n');
	assert_ptr_equal(strchr(out, '\n'), out + strlen(out) - 1);
}

static void die(void)
{
	set_journal();
	log_open("supervisor", LEVEL_ERROR);
	fatal(78, "bad %s", "configuration");
}

static void fatal_logs_and_exits_with_its_status(void **state)
{
	char out[4096];

	(void)state;
	assert_int_equal(capture(die, out, sizeof(out)), 78);
	assert_string_equal(out, "<3>supervisor: bad configuration\n");
}

static void a_refusal_is_filled_and_escaped(void **state)
{
	struct refusal r = { .retry_after_ms = 5 };
	char text[1000];

	(void)state;
	assert_int_equal(refuse(&r, 400, "unknown_type", "jobs[3].type", "no type \"%s\"", "a\tb"),
			 -EINVAL);
	assert_int_equal(r.status, 400);
	assert_int_equal(r.retry_after_ms, 0);
	assert_string_equal(r.code, "unknown_type");
	assert_string_equal(r.field, "jobs[3].type");
	assert_string_equal(r.message, "no type \"a\\x09b\"");
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(refuse(&r, 429, text, text, "%s", text), -EINVAL);
	assert_int_equal(strlen(r.code), sizeof(r.code) - 1);
	assert_int_equal(strlen(r.field), sizeof(r.field) - 1);
	assert_int_equal(strlen(r.message), sizeof(r.message) - 1);
}

static void job_terms_have_names(void **state)
{
	enum job_state back = JOB_READY;

	(void)state;
	for (int i = JOB_READY; i < JOB_STATE_LIMIT; i++) {
		assert_int_equal(job_state_parse(job_state_name((enum job_state)i), &back), 0);
		assert_int_equal(back, i);
	}
	assert_int_equal(job_state_parse("?", &back), -EINVAL);
	assert_int_equal(job_state_parse("", &back), -EINVAL);
	assert_string_equal(job_state_name((enum job_state)0), "?");
	assert_string_equal(job_state_name((enum job_state) - 1), "?");
	assert_string_equal(job_state_name((enum job_state)JOB_STATE_LIMIT), "?");
	assert_string_equal(job_class_name(CLASS_LIGHT), "light");
	assert_string_equal(job_class_name(CLASS_CPU), "cpu");
	assert_string_equal(job_class_name(CLASS_COUNT), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_has_time_role_and_level),
		cmocka_unit_test(the_journal_gets_priorities_instead),
		cmocka_unit_test(values_cannot_forge_lines_and_errno_survives),
		cmocka_unit_test(a_long_line_is_cut),
		cmocka_unit_test(fatal_logs_and_exits_with_its_status),
		cmocka_unit_test(a_refusal_is_filled_and_escaped),
		cmocka_unit_test(job_terms_have_names),
	};

	return TAP_RUN(tests);
}
