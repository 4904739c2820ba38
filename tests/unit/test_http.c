/*
 * test_http.c — the http client against a server on its own loop.
 */
#include "tap_main.h"

#include "http_rig.h"

struct http_case {
	int (*body)(struct http_rig *rig);
};

static int run_case(const void *arg)
{
	const struct http_case *c = arg;
	struct http_rig rig;
	int r = http_rig_start(&rig), stopped;

	if (r < 0)
		return r;
	r = c->body(&rig);
	stopped = http_rig_stop(&rig);
	return r ? r : stopped;
}

/* A unit test that runs the body as a coroutine, with a server. */
#define HTTP_CASE(name)                                                                            \
	static int name##_body(struct http_rig *rig);                                              \
	static void name(void **state GA_UNUSED)                                                   \
	{                                                                                          \
		assert_int_equal(ga_run(run_case, &(struct http_case){ name##_body }), 0);         \
	}                                                                                          \
	static int name##_body(struct http_rig *rig GA_UNUSED)

/* Send and wait; the future is the caller's. */
static ga_future *done(struct ga_http_request request)
{
	ga_future *f;

	if (request.deadline == 0)
		request.deadline = ga_now() + GA_SECONDS(20);
	f = ga_http_request(&request);
	(void)ga_await(f);
	return f;
}

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

/* The error and the errno of a request, and what its text says. */
static int fails(struct ga_http_request request, enum ga_http_error error, int result, const char *text)
{
	ga_future *f = done(request);

	if (ga_http_error(f) != error || ga_result(f, NULL) != result ||
	    !strstr(ga_http_error_text(f), text)) {
		fprintf(stderr, "# %s: %d (%s): %s\n", request.url, ga_result(f, NULL),
			ga_http_error_word(ga_http_error(f)), ga_http_error_text(f));
		ga_release(f);
		return -1;
	}
	ga_release(f);
	return 0;
}

#define FAILS(error, result, text, ...)                                                            \
	(fails((struct ga_http_request){ __VA_ARGS__ }, error, result, text) == 0)

HTTP_CASE(a_body_beyond_the_limit_is_an_error_after_decompression_too)
{
	ga_future *f;
	size_t size;

	EXPECT(FAILS(GA_HTTP_BODY_TOO_LARGE, -EFBIG, "999", .url = http_rig_url(rig, "/gzip"),
		     .max_body = 999));
	EXPECT(FAILS(GA_HTTP_BODY_TOO_LARGE, -EFBIG, "1048576", .url = http_rig_url(rig, "/endless")));
	EXPECT(FAILS(GA_HTTP_BODY_TOO_LARGE, -EFBIG, "", .url = http_rig_url(rig, "/endless"),
		     .discard_body = true));
	f = done((struct ga_http_request){ .url = http_rig_url(rig, "/body/100"), .max_body = 60 });
	EXPECT(ga_http_status(f) == 200 && ga_http_body(f, &size) && size == 60); /* what came is kept */
	ga_release(f);
	f = done((struct ga_http_request){ .url = http_rig_url(rig, "/body/100"), .max_body = 100 });
	EXPECT(ga_result(f, NULL) == 200 && ga_http_body(f, &size) && size == 100);
	ga_release(f);
	f = done((struct ga_http_request){ .url = http_rig_url(rig, "/body/100"),
					   .discard_body = true });
	EXPECT(ga_result(f, NULL) == 200 && ga_http_body(f, &size) && size == 0);
	ga_release(f);
	return 0;
}

HTTP_CASE(each_failure_has_its_kind)
{
	EXPECT(FAILS(GA_HTTP_CONNECT_FAILED, -ECONNREFUSED, "127.0.0.1 port 1",
		     .url = "http://127.0.0.1:1/"));
	EXPECT(FAILS(GA_HTTP_CONNECTION_LOST, -ECONNRESET, "", .url = http_rig_url(rig, "/drop")));
	EXPECT(FAILS(GA_HTTP_CONNECTION_LOST, -ECONNRESET, "", .url = http_rig_url(rig, "/lie")));
	EXPECT(FAILS(GA_HTTP_PROTOCOL, -EPROTO, "", .url = http_rig_url(rig, "/garbage")));
	EXPECT(FAILS(GA_HTTP_PROTOCOL, -EPROTO, "256 KiB", .url = http_rig_url(rig, "/huge-headers")));
	EXPECT(FAILS(GA_HTTP_TIMEOUT, -ETIMEDOUT, "waiting for the answer",
		     .url = http_rig_url(rig, "/hang"), .deadline = ga_now() + GA_MILLISECONDS(30)));
	EXPECT(FAILS(GA_HTTP_TIMEOUT, -ETIMEDOUT, "", .url = http_rig_url(rig, "/"), .deadline = 1));
	return 0;
}

HTTP_CASE(malformed_urls_are_refused)
{
	static const char *const bad[] = {
		"",
		"example.com",
		"http://",
		"http:///",
		"ftp://x/",
		"file:///etc/passwd",
		"http://a b/",
		"http://a/\r\nX: y",
		"http://x:99999/",
		"http://x:0/",
		"http://[::1",
		"http://256.1.1.1/",
		"http://1.2.3.4.5/",
		"http://4294967296/",
		"http://08.8.8.8/",
		"http://a..b/",
		"http://b\303\274cher.de/",
		"http://[fe80::1%25lo]/",
		"http://a\\@127.0.0.1/",
		"http://exa%00mple/",
		"http://a@b@c/",
		"gopher://127.0.0.1/",
		"javascript:alert(1)",
	};
	char longest[400] = "http://";

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT(FAILS(GA_HTTP_BAD_URL, -EINVAL, "", .url = bad[i]));
	memset(longest + 7, 'a', 300);
	EXPECT(FAILS(GA_HTTP_BAD_URL, -EINVAL, "", .url = longest));
	EXPECT(FAILS(GA_HTTP_BAD_URL, -EINVAL, "no URL", .url = NULL));
	EXPECT(rig->connections == 0);
	return 0;
}

HTTP_CASE(what_could_smuggle_a_second_request_is_refused)
{
	const char *url = http_rig_url(rig, "/");
	static const struct ga_http_header bad[] = {
		{ "X", "a\r\nY: b" }, { "X", "a\nb" },
		{ "X\r\nY", "b" },    { "", "b" },
		{ "X:", "b" },        { "X Y", "b" },
		{ NULL, "b" },        { "X", NULL },
		{ "X", "\x7f" },      { "Transfer-Encoding", "chunked" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT(FAILS(GA_HTTP_BAD_REQUEST, -EINVAL, "", .url = url, .headers = &bad[i],
			     .header_count = 1));
	EXPECT(FAILS(GA_HTTP_BAD_REQUEST, -EINVAL, "method", .url = url,
		     .method = "GET / HTTP/1.1\r\nX:"));
	EXPECT(FAILS(GA_HTTP_BAD_REQUEST, -EINVAL, "method", .url = url, .method = ""));
	EXPECT(FAILS(GA_HTTP_BAD_REQUEST, -EINVAL, "CONNECT", .url = url, .method = "CONNECT"));
	EXPECT(FAILS(GA_HTTP_BAD_REQUEST, -EINVAL, "HEAD", .url = url, .method = "HEAD",
		     .body = "x", .body_bytes = 1));
	EXPECT(FAILS(GA_HTTP_BAD_REQUEST, -EINVAL, "agent", .url = url, .user_agent = "a\r\nX: y"));
	EXPECT(rig->connections == 0);
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

HTTP_CASE(a_redirect_leads_to_http_only)
{
	EXPECT(FAILS(GA_HTTP_BAD_URL, -EINVAL, "redirect to file:///etc/passwd",
		     .url = http_rig_url(rig, "/to?file:///etc/passwd"), .follow = 5));
	EXPECT(FAILS(GA_HTTP_BAD_URL, -EINVAL, "redirect to gopher",
		     .url = http_rig_url(rig, "/to?gopher://127.0.0.1:1/"), .follow = 5));
	EXPECT(FAILS(GA_HTTP_ADDRESS_REFUSED, -EACCES, "metadata",
		     .url = http_rig_url(rig, "/to?http://169.254.169.254/latest"), .follow = 5));
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

HTTP_CASE(only_listed_addresses_are_called)
{
	const struct ga_http_client_options none = { 0 }, here = { .allow = "127.0.0.1" };
	char url[128], redirect[256], port[64];
	static const char *const forms[] = { "2130706433",
					     "0x7f.1",
					     "127.1",
					     "0177.0.0.1",
					     "127.0.0.1.",
					     "localhost",
					     "[::ffff:127.0.0.1]",
					     "[::1]",
					     "0",
					     "[::]",
					     "%31%32%37.0.0.1",
					     "LOCALHOST." };
	ga_http_client *shut, *open, *named;

	EXPECT(ga_http_client_new(&none, NULL, 0, &shut) == 0);
	EXPECT(ga_http_client_new(&here, NULL, 0, &open) == 0);
	snprintf(port, sizeof(port), "localhost:%u", (unsigned)rig->port);
	EXPECT(ga_http_client_new(&(struct ga_http_client_options){ .allow = port }, NULL, 0,
				  &named) == 0);
	EXPECT(FAILS(GA_HTTP_ADDRESS_REFUSED, -EACCES,
		     "127.0.0.1 is a loopback address; allow it in gatherd.conf",
		     .url = http_rig_url(rig, "/"), .client = shut));
	EXPECT(FAILS(GA_HTTP_OK, 200, "", .url = http_rig_url(rig, "/"), .client = open));
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		snprintf(url, sizeof(url), "http://%s:%u/", forms[i], (unsigned)rig->port);
		EXPECT(FAILS(GA_HTTP_ADDRESS_REFUSED, -EACCES, "gatherd.conf", .url = url,
			     .client = shut));
	}
	EXPECT(rig->connections == 1);
	/* The pool of another client's connections doesn't help either, nor does a redirect. */
	snprintf(url, sizeof(url), "http://localhost:%u/", (unsigned)rig->port);
	EXPECT(FAILS(GA_HTTP_OK, 200, "", .url = url, .client = named));
	EXPECT(FAILS(GA_HTTP_ADDRESS_REFUSED, -EACCES, "", .url = http_rig_url(rig, "/"),
		     .client = named));
	snprintf(redirect, sizeof(redirect), "%sto?%s", url, http_rig_url(rig, "/landed"));
	EXPECT(FAILS(GA_HTTP_ADDRESS_REFUSED, -EACCES, "loopback", .url = redirect, .client = named,
		     .follow = 5));
	EXPECT(strstr(rig->last, "GET /to?"));
	ga_http_client_free(shut);
	ga_http_client_free(open);
	ga_http_client_free(named);
	return 0;
}

HTTP_CASE(a_wrong_list_makes_no_client)
{
	ga_http_client *client = NULL;
	char error[128];

	EXPECT(ga_http_client_new(&(struct ga_http_client_options){ .allow = "10.0.0.0/99" }, error,
				  sizeof(error), &client) == -EINVAL);
	EXPECT(strstr(error, "10.0.0.0/99") && !client);
	ga_http_client_free(NULL);
	return 0;
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

/* Let the loop run until the server has noticed. */
static int hung_up(struct http_rig *rig, int count)
{
	for (int i = 0; i < 2000 && rig->hung_up < count; i++)
		EXPECT(ga_sleep(GA_MILLISECONDS(1)) == 0);
	EXPECT(rig->hung_up == count);
	return 0;
}

HTTP_CASE(cancelling_or_releasing_closes_the_connection)
{
	ga_future *f = ga_http_get(http_rig_url(rig, "/hang"));

	while (rig->open == 0)
		EXPECT(ga_sleep(GA_MILLISECONDS(1)) == 0);
	EXPECT(ga_cancel(f));
	EXPECT(ga_await(f) == -ECANCELED && ga_http_error(f) == GA_HTTP_CANCELLED && !ga_cancel(f));
	ga_release(f);
	EXPECT(hung_up(rig, 1) == 0);
	f = ga_http_get(http_rig_url(rig, "/hang"));
	while (rig->open == 0)
		EXPECT(ga_sleep(GA_MILLISECONDS(1)) == 0);
	ga_release(f);
	EXPECT(hung_up(rig, 2) == 0);
	EXPECT(FAILS(GA_HTTP_TIMEOUT, -ETIMEDOUT, "", .url = http_rig_url(rig, "/hang"),
		     .deadline = ga_now() + GA_MILLISECONDS(20)));
	return hung_up(rig, 3);
}

HTTP_CASE(what_has_not_started_is_cancelled_without_a_trace)
{
	ga_future *f = ga_http_get(http_rig_url(rig, "/")),
		  *g = ga_http_get("http://nosuchhost.invalid/");

	EXPECT(ga_cancel(f) && ga_done(f) && ga_result(f, NULL) == -ECANCELED);
	ga_release(f);
	ga_release(ga_http_get(http_rig_url(rig, "/")));
	EXPECT(ga_sleep(0) == 0);
	ga_release(g); /* while its name is looked up */
	EXPECT(FAILS(GA_HTTP_OK, 200, "", .url = http_rig_url(rig, "/last")));
	EXPECT(rig->requests == 1);
	return 0;
}

HTTP_CASE(gather_cancels_the_siblings_of_a_failed_request)
{
	ga_future *f[2] = { ga_http_get(http_rig_url(rig, "/hang")),
			    ga_http_get("http://127.0.0.1:1/") };

	EXPECT(ga_gather(f, 2, 0) == -ECONNREFUSED);
	EXPECT(ga_result(f[0], NULL) == -ECANCELED);
	ga_release_all(f, 2);
	return 0;
}

HTTP_CASE(a_freed_client_ends_its_requests_first)
{
	ga_http_client *client;
	ga_future *f;

	EXPECT(ga_http_client_new(&(struct ga_http_client_options){ .allow = "*" }, NULL, 0,
				  &client) == 0);
	f = ga_http_request(
		&(struct ga_http_request){ .url = http_rig_url(rig, "/slow"), .client = client });
	ga_http_client_free(client);
	EXPECT(ga_await(f) == 200);
	ga_release(f);
	return 0;
}

HTTP_CASE(a_connection_that_the_server_closed_is_replaced)
{
	struct http_rig other;
	ga_future *f;
	char url[128];

	EXPECT(http_rig_start(&other) == 0);
	snprintf(url, sizeof(url), "%s", http_rig_url(&other, "/"));
	f = done((struct ga_http_request){ .url = url });
	EXPECT(ga_result(f, NULL) == 200);
	ga_release(f);
	ga_cancel(other.task); /* its handlers go, and their connections with them */
	EXPECT(ga_await(other.task) == -ECANCELED);
	ga_release(other.task);
	EXPECT(ga_sleep(GA_MILLISECONDS(5)) == 0);
	ga_server_close(other.server);
	EXPECT(FAILS(GA_HTTP_CONNECT_FAILED, -ECONNREFUSED, "", .url = url));
	return 0;
}

static int leave_requests(const void *arg GA_UNUSED)
{
	/* A listener that never accepts, a name, and one that waits its turn. */
	static ga_http_client *client;
	ga_server *server;
	char url[64];

	EXPECT(ga_listen_tcp(NULL, 0, &server) == 0);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/", (unsigned)ga_server_port(server));
	EXPECT(ga_http_client_new(&(struct ga_http_client_options){ .allow = "*", .max_connections = 1 },
				  NULL, 0, &client) == 0);
	ga_future *f[4] = {
		ga_http_get(url),
		ga_http_get("http://nosuchhost.invalid/"),
		ga_http_request(&(struct ga_http_request){ .url = url, .client = client }),
		ga_http_request(&(struct ga_http_request){ .url = url, .client = client }),
	};
	EXPECT(ga_sleep(GA_MILLISECONDS(5)) == 0);
	ga_release_all(f, 4);
	ga_http_client_free(client);
	ga_server_close(server);
	return 0;
}

static void a_loop_ends_with_requests_in_flight(void **state GA_UNUSED)
{
	for (int i = 0; i < 3; i++)
		assert_int_equal(ga_run(leave_requests, NULL), 0);
}

static ga_future *kept_request;
static ga_http_client *kept_client;

static int keep_past_the_end(const void *arg GA_UNUSED)
{
	EXPECT(ga_http_client_new(&(struct ga_http_client_options){ .allow = "*" }, NULL, 0,
				  &kept_client) == 0);
	kept_request = ga_http_request(
		&(struct ga_http_request){ .url = "http://127.0.0.1:1/", .client = kept_client });
	return 0;
}

static void what_outlives_its_loop_is_cancelled_and_freed_later(void **state GA_UNUSED)
{
	assert_int_equal(ga_run(keep_past_the_end, NULL), 0);
	assert_int_equal(ga_result(kept_request, NULL), -ECANCELED);
	ga_release(kept_request);
	ga_http_client_free(kept_client);
	assert_null(ga_http_get("http://127.0.0.1/")); /* no loop */
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
		cmocka_unit_test(a_body_beyond_the_limit_is_an_error_after_decompression_too),
		cmocka_unit_test(each_failure_has_its_kind),
		cmocka_unit_test(malformed_urls_are_refused),
		cmocka_unit_test(what_could_smuggle_a_second_request_is_refused),
		cmocka_unit_test(redirects_are_followed_as_often_as_asked),
		cmocka_unit_test(a_redirect_leads_to_http_only),
		cmocka_unit_test(a_redirect_changes_the_method_as_browsers_do),
		cmocka_unit_test(credentials_do_not_cross_to_another_origin),
		cmocka_unit_test(only_listed_addresses_are_called),
		cmocka_unit_test(a_wrong_list_makes_no_client),
		cmocka_unit_test(names_are_resolved_and_bad_ones_are_errors),
		cmocka_unit_test(cancelling_or_releasing_closes_the_connection),
		cmocka_unit_test(what_has_not_started_is_cancelled_without_a_trace),
		cmocka_unit_test(gather_cancels_the_siblings_of_a_failed_request),
		cmocka_unit_test(a_freed_client_ends_its_requests_first),
		cmocka_unit_test(a_connection_that_the_server_closed_is_replaced),
		cmocka_unit_test(a_loop_ends_with_requests_in_flight),
		cmocka_unit_test(what_outlives_its_loop_is_cancelled_and_freed_later),
	};

	return TAP_RUN(tests);
}
