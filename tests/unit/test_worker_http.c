#include "tap_main.h"

#include "canned_server.h"
#include "http_policy.h"
#include "worker_bench.h"
#include <errno.h>

static struct canned_server server;

static void allow(const char *what)
{
	char assignment[128];
	struct conf_issue issue = { "" };
	struct conf *next;

	assert_int_equal(conf_defaults(&next), 0);
	snprintf(assignment, sizeof(assignment), "http.allow=%s", what);
	if (conf_set(next, assignment, &issue) < 0)
		print_message("# %s\n", issue.text);
	assert_int_equal(http_policy_apply(next, 100), 0);
	conf_free(next);
}

static struct bench *bench(void)
{
	struct registry_options modules = { .directory = WORKERS_DIR };
	struct bench *b;

	b = bench_new(&modules, 0);
	assert_non_null(b);
	allow("127.0.0.1");
	return b;
}

static void bench_end(struct bench *b)
{
	bench_acknowledge_all(b);
	bench_free(b);
}

/* Ask for a path of the canned server, with further arguments as JSON members (", ..."), and wait for the result. */
static const struct heard *ask(struct bench *b, const char *path, const char *more)
{
	static uint64_t token = 100;
	char args[1024];
	size_t count = b->count;

	snprintf(args, sizeof(args), "{\"url\":\"http://127.0.0.1:%u%s\"%s}", server.port, path, more);
	bench_send(b, ++token, "http", args, 20000);
	assert_true(bench_wait(b, count + 1));
	assert_int_equal(b->heard[count].kind, RECORD_RESULT);
	return &b->heard[count];
}

static void assert_failed(const struct heard *h, const char *code, bool retryable, const char *fragment)
{
	if (strcmp(h->code, code) != 0 || !strstr(h->message, fragment))
		print_message("# %s: %s\n", h->code, h->message);
	assert_int_equal(h->outcome, OUTCOME_FAILED);
	assert_string_equal(h->code, code);
	assert_non_null(strstr(h->message, fragment));
	assert_int_equal(h->retryable, retryable);
}

static void assert_meta(const struct heard *h, const char *fragment)
{
	if (!h->meta || !strstr(h->meta, fragment))
		print_message("# \"%s\" lacks \"%s\"\n", h->meta ? h->meta : "", fragment);
	assert_non_null(h->meta);
	assert_non_null(strstr(h->meta, fragment));
}

static void an_answer_comes_with_status_headers_and_body(void **state)
{
	struct bench *b = bench();
	const struct heard *h = ask(b, "/ok", "");
	char url[64];

	(void)state;
	assert_int_equal(h->outcome, OUTCOME_SUCCEEDED);
	assert_string_equal(h->body, "hello");
	snprintf(url, sizeof(url), "\"url\":\"http://127.0.0.1:%u/ok\"", server.port);
	assert_meta(h, "{\"status\":200,");
	assert_meta(h, url);
	assert_meta(h, "\"redirects\":0");
	assert_meta(h, "\"content_type\":\"text/x\"");
	assert_meta(h, "\"set-cookie\":[\"a=1\",\"b=2\"],\"x-plain\":\"\\\"quoted\\\"\"");
	assert_meta(h, "\"content-length\":\"5\"");
	bench_end(b);
}

static void save_says_what_is_kept(void **state)
{
	struct bench *b = bench();
	const struct heard *h = ask(b, "/ok", ",\"save\":\"head\"");

	(void)state;
	assert_meta(h, "set-cookie");
	assert_null(h->body);
	h = ask(b, "/ok", ",\"save\":\"none\"");
	assert_meta(h, "\"status\":200");
	assert_null(strstr(h->meta, "set-cookie"));
	assert_null(h->body);
	bench_end(b);
}

static void a_failed_job_keeps_what_came(void **state)
{
	struct bench *b = bench();
	const struct heard *h = ask(b, "/404", "");

	(void)state;
	assert_failed(h, "http_status", false, "HTTP 404 Not Found");
	assert_meta(h, "\"status\":404");
	assert_string_equal(h->body, "nope");
	h = ask(b, "/404", ",\"ok_status\":[410,404]");
	assert_int_equal(h->outcome, OUTCOME_SUCCEEDED);
	h = ask(b, "/empty", "");
	assert_int_equal(h->outcome, OUTCOME_SUCCEEDED);
	bench_end(b);
}

static void what_may_pass_is_retried_when_the_server_says(void **state)
{
	struct bench *b = bench();
	const struct heard *h = ask(b, "/503", "");

	(void)state;
	assert_failed(h, "http_status", true, "HTTP 503 Service Unavailable");
	assert_int_equal(h->retry_after_ms, 2000);
	assert_true(h->busy);
	assert_string_equal(h->body, "later");
	h = ask(b, "/429", "");
	assert_failed(h, "http_status", true, "429");
	assert_true(h->retry_after_ms > 86400000);
	assert_true(h->busy);
	h = ask(b, "/500", "");
	assert_failed(h, "http_status", true, "500");
	assert_false(h->busy);
	assert_int_equal(h->retry_after_ms, 0);
	bench_end(b);
}

static void redirects_are_followed_as_far_as_asked(void **state)
{
	struct bench *b = bench();
	const struct heard *h = ask(b, "/to", "");

	(void)state;
	assert_int_equal(h->outcome, OUTCOME_SUCCEEDED);
	assert_meta(h, "\"redirects\":1");
	assert_meta(h, "/ok\"");
	h = ask(b, "/to", ",\"follow\":0");
	assert_failed(h, "http_status", false, "HTTP 302 Found");
	assert_failed(ask(b, "/loop", ""), "too_many_redirects", false, "");
	assert_failed(ask(b, "/file", ""), "bad_url", false, "");
	bench_end(b);
}

static void a_request_is_sent_as_asked(void **state)
{
	struct bench *b = bench();
	const struct heard *h;

	(void)state;
	h = ask(b, "/echo?x=1#part", ",\"params\":{\"q\":\"a b&c\",\"n\":[1,2.5,true],\"e\":null}");
	assert_non_null(strstr(h->body, "GET /echo?x=1&q=a%20b%26c&n=1&n=2.5&n=true&e= HTTP/1.1"));
	h = ask(b, "/echo", ",\"headers\":{\"X-One\":\"1\",\"X-Many\":[\"a\",2]},\"method\":\"PUT\"");
	assert_non_null(strstr(h->body, "PUT /echo "));
	assert_non_null(strstr(h->body, "X-One: 1\r\n"));
	assert_non_null(strstr(h->body, "X-Many: a\r\n"));
	assert_non_null(strstr(h->body, "X-Many: 2\r\n"));
	assert_non_null(strstr(h->body, "User-Agent: gatherd"));
	h = ask(b, "/echo", ",\"json\":{\"a\":[1,\"\\u00e4\"]}");
	assert_non_null(strstr(h->body, "POST /echo "));
	assert_non_null(strstr(h->body, "Content-Type: application/json\r\n"));
	assert_non_null(strstr(h->body, "\r\n\r\n{\"a\":[1,\"\xc3\xa4\"]}"));
	h = ask(b, "/echo", ",\"form\":{\"a b\":\"c d\",\"e\":[1,2]}");
	assert_non_null(strstr(h->body, "\r\n\r\na+b=c+d&e=1&e=2"));
	h = ask(b, "/echo", ",\"body\":\"text\",\"headers\":{\"content-type\":\"x/y\"}");
	assert_non_null(strstr(h->body, "content-type: x/y\r\n"));
	assert_null(strstr(h->body, "text/plain"));
	assert_non_null(strstr(h->body, "\r\n\r\ntext"));
	h = ask(b, "/echo", ",\"body_base64\":\"aGk=\"");
	assert_non_null(strstr(h->body, "application/octet-stream\r\n"));
	assert_non_null(strstr(h->body, "\r\n\r\nhi"));
	h = ask(b, "/echo", ",\"json\":null");
	assert_non_null(strstr(h->body, "\r\n\r\nnull"));
	bench_end(b);
}

static void bad_arguments_are_refused_with_their_name(void **state)
{
	static const struct {
		const char *more, *fragment;
	} bad[] = {
		{ ",\"headers\":{\"X\":\"a\\r\\nY: b\"}", "headers" },
		{ ",\"headers\":{\"X\\nY\":\"a\"}", "headers" },
		{ ",\"headers\":{\"X\":{}}", "headers.X" },
		{ ",\"headers\":{\"X\":null}", "headers.X" },
		{ ",\"headers\":{\"X Y\":\"a\"}", "header" },
		{ ",\"params\":{\"p\":{}}", "params.p" },
		{ ",\"form\":{\"p\":[[]]}", "form.p" },
		{ ",\"json\":1,\"body\":\"x\"", "json and body" },
		{ ",\"body_base64\":\"a\"", "body_base64" },
		{ ",\"body_base64\":\"aGk= \"", "body_base64" },
		{ ",\"body_base64\":\"=aGk\"", "body_base64" },
		{ ",\"ok_status\":[99]", "ok_status" },
		{ ",\"ok_status\":[\"404\"]", "ok_status" },
		{ ",\"max_body\":\"2MiB\"", "max_body" },
		{ ",\"method\":\"GET X\"", "" },
		{ ",\"follow\":51", "follow" },
		{ ",\"verify\":\"no\"", "verify" },
	};
	struct bench *b = bench();
	int before = server.requests;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_failed(ask(b, "/ok", bad[i].more), "bad_argument", false, bad[i].fragment);
	assert_int_equal(server.requests, before);
	bench_end(b);
}

static void bad_urls_are_refused(void **state)
{
	static const char *const bad[] = { "nonsense", "ftp://x/", "file:///etc/passwd", "http://",
					   "http://x:99999/" };
	struct bench *b = bench();
	char args[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(args, sizeof(args), "{\"url\":\"%s\"}", bad[i]);
		bench_send(b, i + 1, "http", args, 0);
		assert_true(bench_wait(b, i + 1));
		assert_failed(&b->heard[i], "bad_url", false, "");
	}
	bench_end(b);
}

static void a_body_beyond_the_cap_is_an_error(void **state)
{
	struct bench *b = bench();
	const struct heard *h = ask(b, "/big", "");

	(void)state;
	assert_failed(h, "body_too_large", false, "");
	assert_meta(h, "\"status\":200");
	assert_true(h->body_size <= 1 << 20);
	h = ask(b, "/big", ",\"save\":\"head\",\"max_body\":\"2MiB\"");
	assert_int_equal(h->outcome, OUTCOME_SUCCEEDED);
	assert_failed(ask(b, "/ok", ",\"max_body\":4"), "body_too_large", false, "4");
	bench_end(b);
}

static void connections_that_fail_are_retried(void **state)
{
	struct bench *b = bench();

	(void)state;
	assert_failed(ask(b, "/close", ""), "connection_lost", true, "");
	bench_send(b, 1, "http", "{\"url\":\"http://127.0.0.1:1/\"}", 0);
	assert_true(bench_wait(b, 2));
	assert_failed(&b->heard[1], "connect_failed", true, "");
	bench_end(b);
}

static void a_cancelled_request_closes_its_connection(void **state)
{
	struct bench *b = bench();
	int before = server.closed_early, asked = server.requests;
	char args[128];

	(void)state;
	snprintf(args, sizeof(args), "{\"url\":\"http://127.0.0.1:%u/slow\"}", server.port);
	bench_send(b, 1, "http", args, 0);
	while (server.requests == asked)
		bench_run_for(b, NSEC_PER_MSEC);
	runner_cancel(b->runner, 1);
	assert_true(bench_wait(b, 1));
	assert_int_equal(b->heard[0].outcome, OUTCOME_CANCELLED);
	for (int i = 0; i < 10000 && server.closed_early == before; i++)
		bench_run_for(b, NSEC_PER_MSEC);
	assert_int_equal(server.closed_early, before + 1);
	bench_send(b, 2, "http", args, 30);
	assert_true(bench_wait(b, 2));
	assert_int_equal(b->heard[1].outcome, OUTCOME_TIMED_OUT);
	assert_string_equal(b->heard[1].code, "timeout");
	bench_end(b);
}

static void addresses_are_refused_unless_allowed(void **state)
{
	struct bench *b = bench();

	(void)state;
	allow("10.0.0.0/8");
	assert_failed(ask(b, "/ok", ""), "address_refused", false, "http.allow = {\"127.0.0.1:");
	allow("*"); /* as after a reload */
	assert_int_equal(ask(b, "/ok", "")->outcome, OUTCOME_SUCCEEDED);
	bench_send(b, 1, "http", "{\"url\":\"http://169.254.169.254/\"}", 0);
	assert_true(bench_wait(b, 3));
	assert_failed(&b->heard[2], "address_refused", false, "stay shut");
	bench_end(b);
}

static void a_header_that_is_no_utf8_is_shown(void **state)
{
	struct bench *b = bench();
	const struct heard *h = ask(b, "/latin", "");

	(void)state;
	if (h->outcome == OUTCOME_SUCCEEDED) /* libcurl may refuse control characters */
		assert_meta(h, "\"x-name\":\"\\u00e4\\u0001\"");
	bench_end(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_comes_with_status_headers_and_body),
		cmocka_unit_test(save_says_what_is_kept),
		cmocka_unit_test(a_failed_job_keeps_what_came),
		cmocka_unit_test(what_may_pass_is_retried_when_the_server_says),
		cmocka_unit_test(redirects_are_followed_as_far_as_asked),
		cmocka_unit_test(a_request_is_sent_as_asked),
		cmocka_unit_test(bad_arguments_are_refused_with_their_name),
		cmocka_unit_test(bad_urls_are_refused),
		cmocka_unit_test(a_body_beyond_the_cap_is_an_error),
		cmocka_unit_test(connections_that_fail_are_retried),
		cmocka_unit_test(a_cancelled_request_closes_its_connection),
		cmocka_unit_test(addresses_are_refused_unless_allowed),
		cmocka_unit_test(a_header_that_is_no_utf8_is_shown),
	};
	int failed;

	if (canned_start(&server) < 0)
		return 1;
	failed = TAP_RUN(tests);
	canned_stop(&server);
	return failed;
}
