/*
 * test_http_refusals.c — what the http client refuses, how requests fail, and how they and their clients end.
 */
#include "tap_main.h"

#include "http_rig.h"

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

HTTP_CASE(an_internationalised_host_is_written_by_its_a_label)
{
	EXPECT(FAILS(GA_HTTP_BAD_URL, -EINVAL, "xn--",
		     .url = "http://b\xc3\xbc"
			    "cher.example/"));
	EXPECT(FAILS(GA_HTTP_BAD_URL, -EINVAL, "xn--", .url = "http://b%C3%BCcher.example/"));
	EXPECT(FAILS(GA_HTTP_BAD_URL, -EINVAL, "xn--",
		     .url = "http://\xe3\x80\x82"
			    "com/")); /* a dot, to some */
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
		cmocka_unit_test(a_body_beyond_the_limit_is_an_error_after_decompression_too),
		cmocka_unit_test(each_failure_has_its_kind),
		cmocka_unit_test(malformed_urls_are_refused),
		cmocka_unit_test(an_internationalised_host_is_written_by_its_a_label),
		cmocka_unit_test(what_could_smuggle_a_second_request_is_refused),
		cmocka_unit_test(a_redirect_leads_to_http_only),
		cmocka_unit_test(only_listed_addresses_are_called),
		cmocka_unit_test(a_wrong_list_makes_no_client),
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
