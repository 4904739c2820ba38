/* test_fields.c — a job's own fields: what is taken, what is refused and how, what is kept with the job. */
#include "tap_main.h"

#include "clock.h"
#include "fields.h"
#include "job_facts.h"
#include <errno.h>
#include <string.h>

static json_t *tree(const char *text)
{
	json_t *t = json_loads(text, JSON_REJECT_DUPLICATES, NULL);

	if (!t)
		fail_msg("not JSON: %s", text);
	return t;
}

static struct job_fields take(const char *text)
{
	struct job_fields f;
	struct refusal r;
	json_t *t = tree(text);

	if (fields_read(t, false, &f, &r) < 0)
		fail_msg("%s: %s", text, r.message);
	json_decref(t);
	return f;
}

static void refused(const char *text, const char *field, const char *word)
{
	struct job_fields f;
	struct refusal r;
	json_t *t = tree(text);

	if (fields_read(t, false, &f, &r) != -EINVAL)
		fail_msg("%s was taken", text);
	assert_int_equal(r.status, 422);
	assert_string_equal(r.field, field);
	if (!strstr(r.message, word))
		fail_msg("%s: \"%s\" doesn't say \"%s\"", text, r.message, word);
	json_decref(t);
}

static void options_are(const struct job_fields *f, bool durable, bool waits, const char *expected)
{
	struct buf out = BUF_INIT;

	fields_options(f, durable, waits, &out);
	assert_int_equal(buf_size(&out), strlen(expected));
	if (expected[0])
		assert_memory_equal(buf_data(&out), expected, strlen(expected));
	buf_done(&out);
}

static void fields_have_their_meaning(void **state)
{
	struct job_fields f = take("{\"queue\":\"q\",\"priority\":-7,\"delay\":\"2s\",\"timeout\":1.5,"
				   "\"deadline\":\"1m\",\"retries\":3,\"durability\":\"write\","
				   "\"idempotency_key\":\"k\",\"unique\":{\"by\":[\"args\"]},"
				   "\"limit_key\":\"host\",\"detach\":true,\"result_ttl\":\"1h\","
				   "\"failed_ttl\":\"2h\",\"tags\":[\"a\",\"b c\"]}");

	(void)state;
	assert_int_equal(f.queue_size, 1);
	assert_int_equal(f.priority, -7);
	assert_true(f.delay == 2 * NSEC_PER_SEC);
	assert_int_equal(f.timeout_ms, 1500);
	assert_true(f.deadline == 60 * NSEC_PER_SEC);
	assert_true(f.has_retries);
	assert_int_equal(f.retries.max, 3);
	assert_int_equal(f.durability, DURABILITY_WRITE);
	assert_int_equal(f.key_size, 1);
	assert_int_equal(f.unique, UNIQUE_ARGS);
	assert_int_equal(f.limit_key_size, 4);
	assert_true(f.detach);
	assert_true(f.result_ttl == 3600 * NSEC_PER_SEC);
	assert_true(f.failed_ttl == 7200 * NSEC_PER_SEC);
	assert_int_equal(f.tags->size, 7);
	assert_memory_equal(f.tags->data, "\na\nb c\n", 7);
	fields_done(&f);
}

static void instants_and_durations_are_told_apart(void **state)
{
	struct job_fields f =
		take("{\"run_at\":\"2026-12-01T08:00:00Z\",\"deadline\":\"2026-12-01T09:00:00Z\"}");

	(void)state;
	assert_true(f.run_at_wall == INT64_C(1796112000) * NSEC_PER_SEC);
	assert_true(f.deadline_wall == INT64_C(1796115600) * NSEC_PER_SEC);
	assert_true(f.deadline == 0);
	fields_done(&f);
}

static void what_is_wrong_is_named(void **state)
{
	(void)state;
	refused("{\"type\":\"noop\"}", "type", "unknown field");
	refused("{\"colour\":1}", "colour", "known are queue");
	refused("{\"retries\":{\"most\":1}}", "retries.most", "known are max");
	refused("{\"run_at\":\"1960-01-01T00:00:00Z\"}", "run_at", "1970 to 9999");
	refused("{\"run_at\":\"2026-12-01T08:00:00Z\",\"delay\":1}", "run_at", "exclude");
	refused("{\"deadline\":true}", "deadline", "takes a duration");
	refused("{\"unique\":1}", "unique", "takes true");
	refused("{\"unique\":{\"by\":[]}}", "unique", "takes true");
	refused("{\"unique\":{\"by\":[\"type\"],\"more\":1}}", "unique", "takes true");
	refused("{\"at_most_once\":true,\"durability\":\"memory\"}", "at_most_once", "fsync");
	refused("{\"at_most_once\":true,\"retries\":1}", "at_most_once", "no retries");
	refused("{\"tags\":[\"\"]}", "tags", "at most 16");
	refused("{\"traceparent\":\"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01\"}",
		"traceparent", "W3C");
	refused("{\"traceparent\":\"ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\"}",
		"traceparent", "W3C");
}

static void what_a_stored_job_needs_is_kept(void **state)
{
	struct job_fields f = take("{\"queue\":\"q\",\"delay\":1,\"timeout\":\"5s\",\"tags\":[\"a\"]}");

	(void)state;
	options_are(&f, true, false, "{\"timeout\":\"5s\",\"tags\":[\"a\"]}");
	options_are(&f, true, true, "{\"timeout\":\"5s\",\"tags\":[\"a\"],\"retries\":0}");
	options_are(&f, false, true, "{\"tags\":[\"a\"]}");
	fields_done(&f);
	f = take("{\"queue\":\"q\",\"timeout\":\"5s\"}");
	options_are(&f, false, false, "");
	fields_done(&f);
	f = take("{}");
	options_are(&f, true, false, "");
	options_are(&f, true, true, "{\"retries\":0}");
	fields_done(&f);
}

static void what_is_kept_reads_back(void **state)
{
	struct job_fields f = take("{\"retries\":{\"max\":3,\"factor\":1.1},\"at_most_once\":false,"
				   "\"result_ttl\":\"90m\",\"tags\":[\"x\"]}");
	struct buf out = BUF_INIT;

	(void)state;
	fields_options(&f, true, true, &out);
	assert_int_equal(buf_append(&out, "", 1), 0);
	struct job_fields again = take(buf_data(&out));

	assert_int_equal(again.retries.max, 3);
	assert_true(again.retries.factor == f.retries.factor);
	assert_true(again.result_ttl == f.result_ttl);
	assert_int_equal(again.tags->size, f.tags->size);
	fields_done(&again);
	fields_done(&f);
	buf_done(&out);
}

static void payloads_are_told_apart(void **state)
{
	struct job_fields a = take("{\"idempotency_key\":\"k\",\"priority\":1,\"queue\":\"q\"}");
	struct job_fields b =
		take("{\"queue\":\"q\",\"priority\":1,\"idempotency_key\":\"k\","
		     "\"traceparent\":\"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\"}");
	struct job_fields c = take("{\"idempotency_key\":\"k\",\"priority\":2,\"queue\":\"q\"}");

	(void)state;
	assert_memory_equal(a.digest, b.digest, sizeof(a.digest));
	assert_memory_not_equal(a.digest, c.digest, sizeof(a.digest));
	fields_done(&a);
	fields_done(&b);
	fields_done(&c);
}

static void tags_are_found_whole(void **state)
{
	const struct span tags = SPAN("\nnightly\nb\n");

	(void)state;
	assert_true(tags_have(tags, SPAN("nightly")));
	assert_true(tags_have(tags, SPAN("b")));
	assert_false(tags_have(tags, SPAN("night")));
	assert_false(tags_have(tags, SPAN("y")));
	assert_false(tags_have(tags, SPAN("nightly\nb\nc")));
	assert_false(tags_have((struct span){ 0 }, SPAN("b")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_have_their_meaning),
		cmocka_unit_test(instants_and_durations_are_told_apart),
		cmocka_unit_test(what_is_wrong_is_named),
		cmocka_unit_test(what_a_stored_job_needs_is_kept),
		cmocka_unit_test(what_is_kept_reads_back),
		cmocka_unit_test(payloads_are_told_apart),
		cmocka_unit_test(tags_are_found_whole),
	};

	return TAP_RUN(tests);
}
