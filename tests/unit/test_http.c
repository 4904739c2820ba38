/*
 * test_http.c — what the http client sends and gets, redirects and names included.
 */
#include "tap_main.h"

#include "http_rig.h"

HTTP_CASE(a_get_gives_status_headers_and_body)
{
	ga_future *f = ga_http_get(http_rig_url(rig, "/status/418"));
	struct ga_http_header h;
	size_t size, cursor = 0;
	void *value;
	int count = 0;

	EXPECT(ga_http_status(f) == 0 && ga_http_body(f, NULL) == NULL); /* pending */
	EXPECT(ga_await(f) == 418);
	EXPECT(ga_result(f, &value) == 418 && strcmp(value, "said") == 0);
	EXPECT(ga_http_status(f) == 418 && ga_http_error(f) == GA_HTTP_OK);
	EXPECT(strcmp(ga_http_error_text(f), "") == 0);
	EXPECT(strcmp(ga_http_body(f, &size), "said") == 0 && size == 4);
	EXPECT(strcmp(ga_http_header(f, "x-name"), "spaced value") == 0);
	EXPECT(strcmp(ga_http_header(f, "X-Empty"), "") == 0);
	EXPECT(ga_http_header(f, "X") == NULL);
	while (ga_http_header_next(f, &cursor, &h))
		count++;
	EXPECT(count == 3);
	EXPECT(strcmp(ga_http_url(f), http_rig_url(rig, "/status/418")) == 0);
	EXPECT(strstr(rig->last, "GET /status/418 HTTP/1.1\r\n") == rig->last);
	EXPECT(strstr(rig->last, "Accept-Encoding: deflate, gzip"));
	ga_release(f);
	return 0;
}

HTTP_CASE(a_taken_body_is_the_callers)
{
	ga_future *f = done((struct ga_http_request){ .url = http_rig_url(rig, "/") });
	size_t size;
	char *body = ga_http_body_take(f, &size);

	EXPECT(ga_http_body_take(f, NULL) == NULL);
	EXPECT(strcmp(ga_http_body(f, NULL), "") == 0);
	ga_release(f);
	EXPECT(body && size == 5 && strcmp(body, "hello") == 0);
	free(body);
	return 0;
}

HTTP_CASE(other_futures_are_not_requests)
{
	ga_future *f = ga_future_new();

	EXPECT(ga_resolve(f, 200, NULL) == 0);
	EXPECT(ga_http_status(f) == 0 && !ga_http_body(f, NULL) && !ga_http_url(f) &&
	       !ga_http_header(f, "a"));
	EXPECT(ga_http_error(NULL) == GA_HTTP_OK && !ga_http_body_take(f, NULL));
	ga_release(f);
	return 0;
}

HTTP_CASE(requests_one_after_the_other_share_a_connection)
{
	for (int i = 0; i < 50; i++) {
		ga_future *f = done((struct ga_http_request){ .url = http_rig_url(rig, "/") });

		EXPECT(ga_result(f, NULL) == 200);
		ga_release(f);
	}
	EXPECT(rig->requests == 50 && rig->connections == 1);
	return 0;
}

HTTP_CASE(two_hundred_at_once_are_gathered_in_order)
{
	enum { COUNT = 200 };
	ga_future *f[COUNT];
	char path[32];

	for (int i = 0; i < COUNT; i++) {
		snprintf(path, sizeof(path), "/body/%d", i * 37);
		f[i] = ga_http_get(http_rig_url(rig, path));
	}
	EXPECT(ga_gather(f, COUNT, 0) == 0);
	for (int i = 0; i < COUNT; i++) {
		size_t size;

		EXPECT(ga_http_body(f[i], &size) && size == (size_t)i * 37);
	}
	ga_release_all(f, COUNT);
	return 0;
}

HTTP_CASE(a_client_opens_no_more_than_max_connections)
{
	const struct ga_http_client_options options = { .allow = "127.0.0.1", .max_connections = 3 };
	ga_http_client *client;
	ga_future *f[20];

	EXPECT(ga_http_client_new(&options, NULL, 0, &client) == 0);
	for (int i = 0; i < 20; i++)
		f[i] = ga_http_request(&(struct ga_http_request){ .url = http_rig_url(rig, "/slow"),
								  .client = client });
	EXPECT(ga_gather(f, 20, 0) == 0);
	EXPECT(rig->open_max == 3 && rig->connections == 3 && rig->requests == 20);
	ga_release_all(f, 20);
	ga_http_client_free(client);
	return 0;
}

HTTP_CASE(method_headers_and_body_are_sent)
{
	const struct ga_http_header headers[] = { { "X-One", "1" },
						  { "Content-Type", "text/x" },
						  { "X-Empty", "" },
						  { "Content-Length", "999" } };
	ga_future *f = done((struct ga_http_request){ .url = http_rig_url(rig, "/a?b=c"),
						      .method = "PUT",
						      .headers = headers,
						      .header_count = 4,
						      .body = "some\0thing",
						      .body_bytes = 10,
						      .user_agent = "tester/1" });

	EXPECT(ga_result(f, NULL) == 200);
	EXPECT(strstr(rig->last, "PUT /a?b=c HTTP/1.1\r\n") == rig->last);
	EXPECT(strstr(rig->last, "\r\nX-One: 1\r\n") &&
	       strstr(rig->last, "\r\nContent-Type: text/x\r\n"));
	EXPECT(strstr(rig->last, "\r\nX-Empty:\r\n") &&
	       strstr(rig->last, "\r\nContent-Length: 10\r\n"));
	EXPECT(strstr(rig->last, "\r\nUser-Agent: tester/1\r\n"));
	EXPECT(!strstr(rig->last, "Expect") && !strstr(rig->last, "999"));
	EXPECT(memcmp(strstr(rig->last, "\r\n\r\n") + 4, "some\0thing", 10) == 0);
	ga_release(f);
	/* Nothing of it is left for the next request on the same handle. */
	f = done((struct ga_http_request){ .url = http_rig_url(rig, "/") });
	EXPECT(strstr(rig->last, "GET / HTTP/1.1\r\n") == rig->last);
	EXPECT(!strstr(rig->last, "X-One") && !strstr(rig->last, "Content-") &&
	       !strstr(rig->last, "tester"));
	ga_release(f);
	return 0;
}

static int first_line_is(struct http_rig *rig, const char *method, const void *body, const char *expected)
{
	ga_future *f = done((struct ga_http_request){ .url = http_rig_url(rig, "/m"),
						      .method = method,
						      .body = body,
						      .body_bytes = body ? 1 : 0 });

	EXPECT(ga_result(f, NULL) == 200);
	EXPECT(strncmp(rig->last, expected, strlen(expected)) == 0);
	ga_release(f);
	return 0;
}

HTTP_CASE(each_method_is_what_was_asked_for)
{
	EXPECT(first_line_is(rig, NULL, "x", "POST /m ") == 0);
	EXPECT(!strstr(rig->last, "Content-Type"));
	EXPECT(first_line_is(rig, "POST", NULL, "POST /m ") == 0);
	EXPECT(strstr(rig->last, "Content-Length: 0\r\n"));
	EXPECT(first_line_is(rig, "DELETE", NULL, "DELETE /m ") == 0);
	EXPECT(first_line_is(rig, "PATCH", "x", "PATCH /m ") == 0);
	EXPECT(first_line_is(rig, "GET", "x", "GET /m ") == 0);
	EXPECT(strstr(rig->last, "Content-Length: 1\r\n"));
	EXPECT(first_line_is(rig, "OPTIONS", NULL, "OPTIONS /m ") == 0);
	EXPECT(first_line_is(rig, NULL, NULL, "GET /m ") == 0);
	EXPECT(!strstr(rig->last, "Content-Length"));
	return 0;
}

HTTP_CASE(a_head_request_has_headers_and_no_body)
{
	ga_future *f = done((struct ga_http_request){ .url = http_rig_url(rig, "/status/204"),
						      .method = "HEAD" });

	EXPECT(ga_result(f, NULL) == 204 && strncmp(rig->last, "HEAD ", 5) == 0);
	EXPECT(strcmp(ga_http_header(f, "Content-Length"), "4") == 0);
	ga_release(f);
	return 0;
}

HTTP_CASE(a_compressed_body_is_opened_unless_wanted_as_sent)
{
	ga_future *f = done((struct ga_http_request){ .url = http_rig_url(rig, "/gzip") });
	size_t size;

	EXPECT(ga_http_body(f, &size)[999] == 'a' && size == 1000);
	ga_release(f);
	f = done((struct ga_http_request){ .url = http_rig_url(rig, "/gzip"), .as_sent = true });
	EXPECT(ga_http_body(f, &size)[0] == 0x1f && size == 29);
	EXPECT(!strstr(rig->last, "Accept-Encoding"));
	ga_release(f);
	return 0;
}

HTTP_CASE(interim_answers_leave_no_trace)
{
	ga_future *f = done((struct ga_http_request){ .url = http_rig_url(rig, "/interim") });

	EXPECT(ga_result(f, NULL) == 200 && !ga_http_header(f, "X-Early") &&
	       !strcmp(ga_http_body(f, NULL), "ok"));
	ga_release(f);
	return 0;
}

HTTP_CASE(redirects_are_followed_as_often_as_asked)
{
	char path[600];
	ga_future *f;

	snprintf(path, sizeof(path), "/to?%s", http_rig_url(rig, "/to?/landed"));
	f = done((struct ga_http_request){ .url = http_rig_url(rig, path), .follow = 2 });
	EXPECT(ga_result(f, NULL) == 200 && ga_http_redirects(f) == 2);
	EXPECT(strcmp(ga_http_url(f), http_rig_url(rig, "/landed")) == 0);
	EXPECT(strcmp(ga_http_body(f, NULL), "hello") == 0 && !ga_http_header(f, "Location"));
	ga_release(f);
	EXPECT(FAILS(GA_HTTP_TOO_MANY_REDIRECTS, -ELOOP, "/landed", .url = http_rig_url(rig, path),
		     .follow = 1));
	f = done((struct ga_http_request){ .url = http_rig_url(rig, path) });
	EXPECT(ga_result(f, NULL) == 302 && ga_http_header(f, "Location") && ga_http_redirects(f) == 0);
	ga_release(f);
	return 0;
}

/* What a POST becomes after a redirect with this status. */
static int post_becomes(struct http_rig *rig, int status, const char *method, bool with_body)
{
	const struct ga_http_header header = { "Content-Type", "text/x" };
	char path[32];
	ga_future *f;

	snprintf(path, sizeof(path), "/see/%d?/end", status);
	f = done((struct ga_http_request){ .url = http_rig_url(rig, path),
					   .body = "data",
					   .body_bytes = 4,
					   .headers = &header,
					   .header_count = 1,
					   .follow = 1 });
	EXPECT(ga_result(f, NULL) == 200);
	EXPECT(strncmp(rig->last, method, strlen(method)) == 0);
	EXPECT((strstr(rig->last, "\r\n\r\ndata") != NULL) == with_body);
	EXPECT((strstr(rig->last, "Content-Type") != NULL) == with_body);
	ga_release(f);
	return 0;
}

HTTP_CASE(a_redirect_changes_the_method_as_browsers_do)
{
	EXPECT(post_becomes(rig, 301, "GET /end ", false) == 0);
	EXPECT(post_becomes(rig, 302, "GET /end ", false) == 0);
	EXPECT(post_becomes(rig, 303, "GET /end ", false) == 0);
	EXPECT(post_becomes(rig, 307, "POST /end ", true) == 0);
	EXPECT(post_becomes(rig, 308, "POST /end ", true) == 0);
	return 0;
}

HTTP_CASE(credentials_do_not_cross_to_another_origin)
{
	const struct ga_http_header headers[] = { { "Authorization", "Bearer secret" },
						  { "Cookie", "secret=1" },
						  { "X-Kept", "yes" } };
	struct http_rig other;
	char path[600];
	ga_future *f;

	EXPECT(http_rig_start(&other) == 0);
	f = done((struct ga_http_request){ .url = http_rig_url(rig, "/to?/same"),
					   .headers = headers,
					   .header_count = 3,
					   .follow = 3 });
	EXPECT(strstr(rig->last, "Bearer secret") && strstr(rig->last, "secret=1"));
	ga_release(f);
	/* There and back: what has left the origin does not come back to it. */
	snprintf(path, sizeof(path), "/to?%s", http_rig_url(rig, "/back"));
	snprintf(path, sizeof(path), "/to?%s", http_rig_url(&other, strdupa(path)));
	f = done((struct ga_http_request){
		.url = http_rig_url(rig, path), .headers = headers, .header_count = 3, .follow = 3 });
	EXPECT(ga_result(f, NULL) == 200 && other.requests == 1);
	EXPECT(!strstr(other.last, "secret") && strstr(other.last, "X-Kept: yes"));
	EXPECT(!strstr(rig->last, "secret") && strstr(rig->last, "GET /back "));
	ga_release(f);
	return http_rig_stop(&other);
}

HTTP_CASE(names_are_resolved_and_bad_ones_are_errors)
{
	char url[64];

	snprintf(url, sizeof(url), "http://localhost:%u/", (unsigned)rig->port);
	for (int i = 0; i < 3; i++)
		EXPECT(FAILS(GA_HTTP_OK, 200, "", .url = url));
	EXPECT(rig->connections == 1);
	EXPECT(strstr(rig->last, "\r\nHost: localhost:"));
	EXPECT(FAILS(GA_HTTP_RESOLVE_FAILED, -EHOSTUNREACH, "nosuchhost.invalid",
		     .url = "http://nosuchhost.invalid/"));
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_get_gives_status_headers_and_body),
		cmocka_unit_test(a_taken_body_is_the_callers),
		cmocka_unit_test(other_futures_are_not_requests),
		cmocka_unit_test(requests_one_after_the_other_share_a_connection),
		cmocka_unit_test(two_hundred_at_once_are_gathered_in_order),
		cmocka_unit_test(a_client_opens_no_more_than_max_connections),
		cmocka_unit_test(method_headers_and_body_are_sent),
		cmocka_unit_test(each_method_is_what_was_asked_for),
		cmocka_unit_test(a_head_request_has_headers_and_no_body),
		cmocka_unit_test(a_compressed_body_is_opened_unless_wanted_as_sent),
		cmocka_unit_test(interim_answers_leave_no_trace),
		cmocka_unit_test(redirects_are_followed_as_often_as_asked),
		cmocka_unit_test(a_redirect_changes_the_method_as_browsers_do),
		cmocka_unit_test(credentials_do_not_cross_to_another_origin),
		cmocka_unit_test(names_are_resolved_and_bad_ones_are_errors),
	};

	return TAP_RUN(tests);
}
