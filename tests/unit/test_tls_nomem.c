/*
 * test_tls_nomem.c — streams, TLS and lookups without memory: each allocation of this side fails once, and what it was for
 * fails cleanly while the rest goes on. The linker gives this program's allocations to the functions below (--wrap);
 * those of libraries are their own.
 */
#include "tap_main.h"

#include "stream_rig.h"
#include "tls_rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);

static int left = -1; /* allocations until one fails; negative: none does */

static bool granted(void)
{
	return left < 0 || left-- != 0;
}

void *__wrap_malloc(size_t size)
{
	return granted() ? __real_malloc(size) : NULL;
}

void *__wrap_calloc(size_t count, size_t size)
{
	return granted() ? __real_calloc(count, size) : NULL;
}

void *__wrap_realloc(void *old, size_t size)
{
	return granted() ? __real_realloc(old, size) : NULL;
}

char *__wrap_strdup(const char *text)
{
	return granted() ? __real_strdup(text) : NULL;
}

static int exchange(ga_stream *s)
{
	static char data[50000], back[sizeof(data)];
	char *line;
	int r = ga_stream_write_two(s, data, sizeof(data), "\n", 1, SOON);

	if (r == 0)
		r = ga_stream_read_exactly(s, back, sizeof(back), SOON);
	if (r == 0)
		r = (int)ga_stream_read_until(s, "\n", 10, SOON, &line);
	if (r > 0)
		r = ga_stream_shutdown(s);
	return r;
}

/* A connection from its beginning to its end, the n-th allocation failing; 1: there were fewer. */
static int try_without(struct bench *b, int n)
{
	ga_stream *s = NULL;
	int r;

	left = n;
	r = bench_connect(b, &s);
	if (r == 0)
		r = exchange(s);
	if (s)
		ga_stream_close(s);
	if (left >= 0)
		n = -1; /* none failed */
	left = -1;
	EXPECT(r <= 0);
	EXPECT(r == 0 || r == -ENOMEM || r == -ECONNRESET || r == -ENODATA || r == -EPIPE ||
	       r == -EHOSTUNREACH);
	return n < 0 && r == 0;
}

static int without_body(struct bench *b)
{
	int n = 0, r = 0;

	for (; r == 0 && n < 1000; n++) {
		ga_stream *s;

		r = try_without(b, n);
		EXPECT(r >= 0);
		EXPECT(bench_connect(b, &s) == 0); /* the server serves on */
		EXPECT(exchange(s) == 0);
		ga_stream_close(s);
	}
	EXPECT(r == 1 && n > 5);
	return 0;
}

static void a_connection_without_memory_fails_alone(void **state)
{
	const enum transport *transport = *state;

	assert_int_equal(bench_run(*transport, echo, without_body, (struct ga_serve_options){ 0 }), 0);
}

static void contexts_without_memory_are_errors(void **state GA_UNUSED)
{
	const struct ga_tls_options options = { .certificate_file = tls_rig_path("server.pem"),
						.alpn = "h2" };
	ga_tls *tls;

	left = 0;
	assert_int_equal(ga_tls_server_new(&options, NULL, 0, &tls), -ENOMEM);
	left = 0;
	assert_int_equal(ga_tls_client_new(NULL, NULL, 0, &tls), -ENOMEM);
	left = -1;
}

static int lookup_main(const void *arg GA_UNUSED)
{
	struct ga_address *a;
	int r = -ENOMEM;

	for (int n = 0; r < 0 && n < 100; n++) {
		left = n;
		r = ga_lookup("localhost", 1, SOON, &a);
		left = -1;
		EXPECT(r > 0 || r == -ENOMEM || r == -EHOSTUNREACH);
	}
	EXPECT(r > 0);
	free(a);
	return 0;
}

static void a_lookup_without_memory_can_be_made_again(void **state GA_UNUSED)
{
	assert_int_equal(ga_run(lookup_main, NULL), 0);
}

int main(void)
{
	static enum transport tcp = OVER_TCP, tls = OVER_TLS;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(a_connection_without_memory_fails_alone, &tcp),
		cmocka_unit_test_prestate(a_connection_without_memory_fails_alone, &tls),
		cmocka_unit_test(contexts_without_memory_are_errors),
		cmocka_unit_test(a_lookup_without_memory_can_be_made_again),
	};

	return TAP_RUN_WITH(tests, tls_rig_open, tls_rig_close);
}
