#include "tap_main.h"

#include "flags.h"
#include "joblog.h"
#include "lines.h"
#include "order.h"
#include "tally.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- flags ---- */

static struct {
	bool on;
	const char *text;
	struct words list;
} given;

static const struct flag rows[] = {
	{ "switch", 's', NULL, "", .on = &given.on },
	{ "text", 't', "X", "", .text = &given.text },
	{ "list", 'l', "X", "", .list = &given.list },
	{ 0 },
};

static int parse(struct parsed *p, char *why, int argc, char *const *argv)
{
	const struct flag *const tables[FLAG_TABLES] = { rows };

	given.on = false;
	given.text = NULL;
	words_free(&given.list);
	words_free(&p->operands);
	words_free(&p->flags);
	return flags_parse(argc, argv, tables, false, p, why, 200);
}

#define ARGV(...)                                                                                  \
	(int)(sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(char *)),                           \
		(char *const *)(uintptr_t)(const char *[])                                         \
	{                                                                                          \
		__VA_ARGS__                                                                        \
	}

static void flags_and_operands_may_be_mixed(void **state)
{
	struct parsed p = { 0 };
	char why[200];

	(void)state;
	assert_int_equal(
		parse(&p, why, ARGV("a", "-s", "--text=1", "b", "-l", "x", "-ly", "-", "--", "-s")),
		10);
	assert_true(given.on);
	assert_string_equal(given.text, "1");
	assert_int_equal(given.list.count, 2);
	assert_string_equal(given.list.item[1], "y");
	assert_int_equal(p.operands.count, 4);
	assert_string_equal(p.operands.item[2], "-");
	assert_string_equal(p.operands.item[3], "-s");
	assert_int_equal(p.flags.count, 5);
	words_free(&given.list);
	words_free(&p.operands);
	words_free(&p.flags);
}

static void wrong_flags_are_explained(void **state)
{
	struct parsed p = { 0 };
	char why[200];

	(void)state;
	assert_int_equal(parse(&p, why, ARGV("--txet", "x")), -1);
	assert_non_null(strstr(why, "did you mean --text?"));
	assert_int_equal(parse(&p, why, ARGV("--utterly-else")), -1);
	assert_null(strstr(why, "did you mean"));
	assert_int_equal(parse(&p, why, ARGV("--text")), -1);
	assert_non_null(strstr(why, "needs a value"));
	assert_int_equal(parse(&p, why, ARGV("--switch=1")), -1);
	assert_non_null(strstr(why, "takes no value"));
	assert_int_equal(parse(&p, why, ARGV("-z")), -1);
	assert_int_equal(parse(&p, why, ARGV("-sx")), -1);
	words_free(&p.operands);
	words_free(&p.flags);
}

/* ---- lines ---- */

static void lines_come_whole_and_without_blanks(void **state)
{
	struct lines l;
	const char *line;
	size_t size;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	lines_init(&l, fds[0]);
	assert_false(lines_never_block(&l));
	assert_int_equal(write(fds[1], "one\r\n\n \t \ntw", 12), 12);
	assert_int_equal(lines_next(&l, &line, &size), LINES_WAIT);
	assert_int_equal(lines_read(&l), 0);
	assert_int_equal(lines_next(&l, &line, &size), LINES_ONE);
	assert_int_equal(size, 3);
	assert_memory_equal(line, "one", 3);
	assert_int_equal(lines_next(&l, &line, &size), LINES_WAIT);
	assert_int_equal(write(fds[1], "o\nlast", 6), 6);
	assert_int_equal(lines_read(&l), 0);
	assert_int_equal(lines_next(&l, &line, &size), LINES_ONE);
	assert_memory_equal(line, "two", 3);
	assert_int_equal(l.number, 4);
	close(fds[1]);
	assert_int_equal(lines_next(&l, &line, &size), LINES_WAIT);
	assert_int_equal(lines_read(&l), 0);
	assert_int_equal(lines_next(&l, &line, &size), LINES_ONE);
	assert_memory_equal(line, "last", 4);
	assert_int_equal(lines_next(&l, &line, &size), LINES_END);
	lines_done(&l);
	close(fds[0]);
}

static void a_line_without_end_is_refused(void **state)
{
	FILE *f = tmpfile();
	struct lines l;
	const char *line;
	size_t size;
	enum lines_result result;

	(void)state;
	for (size_t i = 0; i < LINE_MAX_BYTES + 10; i++)
		putc('x', f);
	fflush(f);
	rewind(f);
	lines_init(&l, fileno(f));
	assert_true(lines_never_block(&l));
	while ((result = lines_next(&l, &line, &size)) == LINES_WAIT)
		assert_int_equal(lines_read(&l), 0);
	assert_int_equal(result, LINES_TOO_LONG);
	lines_done(&l);
	fclose(f);
}

/* ---- order ---- */

static void finish(struct order *o, uint64_t place)
{
	struct strbuf out = { 0 }, err = { 0 };

	sb_unsigned(&out, place);
	order_finish(o, place, &out, &err);
}

static void texts_leave_in_the_order_of_their_places(void **state)
{
	struct order o = { 0 };
	struct strbuf out, err;
	uint64_t expected = 0;

	(void)state;
	for (uint64_t i = 0; i < 1000; i++)
		assert_int_equal(order_take(&o), i);
	for (uint64_t i = 999; i > 0; i--) {
		finish(&o, i);
		assert_false(order_pop(&o, &out, &err));
	}
	assert_true(o.held_bytes > 2000);
	assert_true(order_is_first(&o, 0));
	finish(&o, 0);
	while (order_pop(&o, &out, &err)) {
		assert_int_equal(strtoull(sb_string(&out), NULL, 10), expected++);
		sb_free(&out);
		sb_free(&err);
		/* The ring goes round while it empties. */
		if (expected % 3 == 0)
			finish(&o, order_take(&o));
		if (expected == 5000)
			break;
	}
	assert_true(expected > 1400);
	order_done(&o);
}

/* Most jobs print nothing: a million of them that wait for the first must count, too. */
static void texts_that_wait_are_counted_with_what_they_take(void **state)
{
	struct order o = { 0 };
	struct strbuf out = { 0 }, err = { 0 };

	(void)state;
	for (uint64_t i = 0; i < 1000; i++)
		order_take(&o);
	for (uint64_t i = 1; i < 1000; i++)
		order_finish(&o, i, &out, &err);
	assert_true(o.held_bytes >= 999 * sizeof(struct order_place));
	order_finish(&o, 0, &out, &err);
	while (order_pop(&o, &out, &err)) {
		sb_free(&out);
		sb_free(&err);
	}
	assert_int_equal(o.held_bytes, 0);
	order_done(&o);
}

/* ---- job log ---- */

static void log_one(struct joblog *log, uint64_t seq, int exit_value)
{
	joblog_add(log, &(struct joblog_line){ .seq = seq,
					       .start_wall = INT64_C(1700000000123000000),
					       .runtime_s = 0.5,
					       .exit_value = exit_value,
					       .command = "gather run\ta\nb" });
}

static void a_log_says_what_to_skip(void **state)
{
	char path[] = "/tmp/test-cli-XXXXXX", why[200], text[400] = "";
	struct joblog log;
	FILE *f;

	(void)state;
	close(mkstemp(path));
	assert_true(joblog_open(&log, path, RESUME_NOT, why, sizeof(why)));
	log_one(&log, 1, 0);
	log_one(&log, 3000, 1);
	log_one(&log, 2, 0);
	log_one(&log, 2, 1);
	assert_true(joblog_close(&log));
	f = fopen(path, "a+");
	rewind(f);
	assert_non_null(fgets(text, sizeof(text), f));
	assert_string_equal(
		text, "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n");
	assert_non_null(fgets(text, sizeof(text), f));
	assert_string_equal(text,
			    "1\tgatherd\t1700000000.123\t     0.500\t0\t0\t0\t0\tgather run a b\n");
	fseek(f, 0, SEEK_END);
	fputs("4\tgatherd\t17", f); /* killed while it wrote */
	fclose(f);

	assert_true(joblog_open(&log, path, RESUME_UNLOGGED, why, sizeof(why)));
	assert_true(joblog_skips(&log, 1) && joblog_skips(&log, 2) && joblog_skips(&log, 3000));
	assert_false(joblog_skips(&log, 4) || joblog_skips(&log, 3) || joblog_skips(&log, 1000000));
	assert_int_equal(log.skipped, 3);
	log_one(&log, 4, 0);
	assert_true(joblog_close(&log));
	assert_true(joblog_open(&log, path, RESUME_FAILED, why, sizeof(why)));
	assert_true(joblog_skips(&log, 1) && joblog_skips(&log, 4));
	assert_false(joblog_skips(&log, 2) || joblog_skips(&log, 3000));
	joblog_close(&log);
	unlink(path);
}

static void what_is_no_log_is_refused(void **state)
{
	char path[] = "/tmp/test-cli-XXXXXX", why[200];
	struct joblog log;
	int fd = mkstemp(path);

	(void)state;
	assert_int_equal(write(fd, "https://example.com/\n", 21), 21);
	close(fd);
	assert_false(joblog_open(&log, path, RESUME_FAILED, why, sizeof(why)));
	assert_non_null(strstr(why, "line 1"));
	assert_false(joblog_open(&log, "/nonexistent/log", RESUME_NOT, why, sizeof(why)));
	assert_non_null(strstr(why, "No such file"));
	unlink(path);
}

/* ---- tally ---- */

static void add_failure(struct tally *t, const char *code, const char *meta)
{
	const struct ga_client_event e = { .kind = GA_EVENT_FINISHED,
					   .state = GA_FAILED,
					   .code = { code, strlen(code) },
					   .meta = { meta, strlen(meta) } };

	tally_add(t, &e, 1000000);
}

static void the_summary_counts_by_kind(void **state)
{
	const struct ga_client_event ok = { .kind = GA_EVENT_FINISHED, .state = GA_SUCCEEDED };
	struct strbuf out = { 0 };
	struct tally t;

	(void)state;
	tally_start(&t, 100);
	for (int i = 0; i < 7; i++)
		tally_add(&t, &ok, 1000000);
	add_failure(&t, "timeout", "");
	add_failure(&t, "http_status", "{\"status\":503}");
	add_failure(&t, "timeout", "{\"status\":200}");
	tally_write(&t, t.start + INT64_C(51000000000), &out);
	assert_string_equal(sb_string(&out), "10 done  7 ok  3 failed (2 timeout, 1 http 503)  51 s\n");
	out.size = 0;
	tally_line(&t, t.start + INT64_C(2000000000), 80, &out);
	assert_string_equal(
		sb_string(&out),
		"[###...................................] 10/100  10%  5.0/s  ETA 18 s  3 failed");
	out.size = 0;
	tally_line(&t, t.start + INT64_C(2000000000), 20, &out);
	assert_true(out.size < 20);
	sb_free(&out);
}

static void the_summary_of_a_hundred_has_their_median_and_p99(void **state)
{
	const struct ga_client_event ok = { .kind = GA_EVENT_FINISHED, .state = GA_SUCCEEDED };
	const struct ga_client_event refused = { .kind = GA_EVENT_REFUSED, .status = 422 };
	struct strbuf out = { 0 };
	struct tally t;

	(void)state;
	tally_start(&t, 0);
	for (int i = 0; i < 98; i++)
		tally_add(&t, &ok, INT64_C(3210000));
	tally_add(&t, &ok, INT64_C(1230000000));
	tally_add(&t, &refused, 0); /* it didn't run */
	tally_write(&t, t.start + INT64_C(51000000000), &out);
	assert_string_equal(sb_string(&out), "100 done  99 ok  1 failed (1 refused)  51 s\n");
	out.size = 0;
	tally_add(&t, &ok, INT64_C(1230000000));
	tally_write(&t, t.start + INT64_C(51000000000), &out);
	assert_string_equal(sb_string(&out),
			    "101 done  100 ok  1 failed (1 refused)  51 s  p50 3.21 ms  p99 1.23 s\n");
	sb_free(&out);
}

static void latencies_are_known_to_half_a_percent(void **state)
{
	(void)state;
	for (int64_t ns = 1; ns < INT64_C(86400000000000); ns += ns / 7 + 1) {
		struct latencies l = { 0 };
		int64_t got;

		assert_int_equal(latency_quantile(&l, 0.5), 0);
		latency_add(&l, ns);
		latency_add(&l, INT64_MAX); /* in the last bucket */
		got = latency_quantile(&l, 0.49);
		assert_in_range(got, ns - ns / 200, ns + ns / 200);
		assert_true(latency_quantile(&l, 1) >= got);
	}
}

static void quantiles_are_those_of_a_sorted_list(void **state)
{
	struct latencies l = { 0 };

	(void)state;
	for (int64_t i = 400; i > 0; i--) /* each has a bucket of its own */
		latency_add(&l, i);
	latency_add(&l, -1); /* a clock never goes back; if it did, it is 0 */
	assert_int_equal(l.count, 401);
	assert_int_equal(l.longest, 400);
	assert_int_equal(latency_quantile(&l, 0), 0);
	assert_int_equal(latency_quantile(&l, 0.5), 200);
	assert_int_equal(latency_quantile(&l, 0.99), 396);
	assert_int_equal(latency_quantile(&l, 1), 400);
}

static void many_kinds_of_failures_are_bounded(void **state)
{
	struct tally t;
	char code[80];

	(void)state;
	tally_start(&t, 0);
	for (int i = 0; i < 200; i++) {
		snprintf(code, sizeof(code), "kind_%d_%060d", i, 0);
		add_failure(&t, code, "");
	}
	assert_int_equal(t.kind_count, TALLY_KINDS);
	assert_string_equal(t.kinds[TALLY_KINDS - 1].name, "other");
	assert_int_equal(t.kinds[TALLY_KINDS - 1].count, 200 - (TALLY_KINDS - 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flags_and_operands_may_be_mixed),
		cmocka_unit_test(wrong_flags_are_explained),
		cmocka_unit_test(lines_come_whole_and_without_blanks),
		cmocka_unit_test(a_line_without_end_is_refused),
		cmocka_unit_test(texts_leave_in_the_order_of_their_places),
		cmocka_unit_test(texts_that_wait_are_counted_with_what_they_take),
		cmocka_unit_test(a_log_says_what_to_skip),
		cmocka_unit_test(what_is_no_log_is_refused),
		cmocka_unit_test(the_summary_counts_by_kind),
		cmocka_unit_test(the_summary_of_a_hundred_has_their_median_and_p99),
		cmocka_unit_test(latencies_are_known_to_half_a_percent),
		cmocka_unit_test(quantiles_are_those_of_a_sorted_list),
		cmocka_unit_test(many_kinds_of_failures_are_bounded),
	};

	return TAP_RUN(tests);
}
