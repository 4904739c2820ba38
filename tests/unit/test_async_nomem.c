/*
 * What libgather promises for a failed allocation: an error or a NULL, and never a crash, a hang or a leak. Programs that
 * use every part run with their first allocation refused, then their second, and so on until one needs no more; each both
 * with that one refused alone and with all from there on. The linker gives this program's allocations to the functions
 * below (--wrap), and libevent's go there too. Leaks are told by the sanitizer.
 */
#include "async_check.h"
#include "canned_server.h"
#include "tap_main.h"
#include <event2/event.h>
#include <fcntl.h>
#include <gather/group.h>
#include <gather/http.h>
#include <gather/local.h>
#include <gather/process.h>
#include <gather/queue.h>
#include <gather/runner.h>
#include <gather/stream.h>
#include <gather/sync.h>
#include <signal.h>

#define MANY 40 /* more than any structure has room for from the start */
#define SOON (ga_now() + GA_SECONDS(60))
#define RUN_SECONDS                                                                                \
	20u /* what waits for longer hangs: no refusal may be noticed by a deadline alone */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_reallocarray(void *old, size_t count, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_reallocarray(void *old, size_t count, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t size);

/* Of the loop's thread: others, e.g. of a server that a test plays, have all they want. */
static _Thread_local struct {
	int granted; /* that many, then none is; INT32_MAX: all are */
	bool once;   /* one is refused, and those after it are granted */
	bool refused;
} memory = { .granted = INT32_MAX };

static bool granted(void)
{
	if (memory.granted == INT32_MAX || memory.granted-- > 0)
		return true;
	memory.refused = true;
	memory.granted = memory.once ? INT32_MAX : 0;
	return false;
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

void *__wrap_reallocarray(void *old, size_t count, size_t size)
{
	return granted() ? __real_reallocarray(old, count, size) : NULL;
}

char *__wrap_strdup(const char *text)
{
	return granted() ? __real_strdup(text) : NULL;
}

char *__wrap_strndup(const char *text, size_t size)
{
	return granted() ? __real_strndup(text, size) : NULL;
}

/* How many allocations the program makes before it needs no more, or -1: it said something else than 0 or `-ENOMEM` (or
 * one of the errors that stand for it) on the way. */
static int refuse_each(ga_coroutine_fn program, const struct ga_run_options *options, bool once)
{
	for (int n = 0; n < 5000; n++) {
		int r;

		alarm(RUN_SECONDS);
		memory.once = once;
		memory.refused = false;
		memory.granted = n;
		r = ga_run_with(program, NULL, options);
		memory.granted = INT32_MAX;
		alarm(0);
		if (!memory.refused)
			return r == 0 ? n : -1;
		if (r != 0 && r != -ENOMEM && r != -EAGAIN && r != -ECANCELED) {
			printf("# refusal %d: %d\n", n, r);
			return -1;
		}
	}
	return -1;
}

/* A unit test of a program; `least` allocations at least, or it doesn't reach what it is about. */
#define PROGRAM(name, least, ...)                                                                  \
	static int name##_body(const void *arg GA_UNUSED);                                         \
	static void name(void **state GA_UNUSED)                                                   \
	{                                                                                          \
		const struct ga_run_options options = { __VA_ARGS__ };                             \
                                                                                                   \
		assert_true(refuse_each(name##_body, &options, true) >= (least));                  \
		assert_true(refuse_each(name##_body, &options, false) >= (least));                 \
	}                                                                                          \
	static int name##_body(const void *arg GA_UNUSED)

/* What a program that was refused something ends with. */
static int verdict(int r)
{
	return r < 0 && memory.refused ? -ENOMEM : r;
}

static const int one = 1, three = 3;

static void count_call(ga_future *f GA_UNUSED, void *arg)
{
	++*(int *)arg;
}

PROGRAM(tasks_and_callbacks, 5, .virtual_time = true)
{
	static const struct ga_local key = { "key", NULL };
	int calls = 0, told = 0, r;
	ga_future *f[MANY];

	r = ga_local_set(&key, &told);
	EXPECT(r == 0 || r == -ENOMEM);
	for (int i = 0; i < MANY; i++) {
		f[i] = ga_spawn(sleep_then_return, &one);
		if (f[i] && ga_on_done(f[i], count_call, &calls) == 0)
			told++;
	}
	for (int i = 0; i < MANY; i++) {
		r = ga_await(f[i]);
		EXPECT(r == 1 || r == -ENOMEM || r == -EAGAIN);
		EXPECT(r == 1 || memory.refused);
	}
	ga_release_all(f, MANY);
	(void)ga_sleep(0);
	EXPECT(calls == told);
	return 0;
}

PROGRAM(gather_and_wait, 5, .virtual_time = true)
{
	ga_future *f[MANY];
	int r;

	for (int i = 0; i < MANY; i++)
		f[i] = i % 2 ? ga_sleep_future(GA_MILLISECONDS(i))
			     : ga_spawn(sleep_then_return, &three);
	r = ga_wait(f, MANY, GA_FIRST_COMPLETED, SOON);
	EXPECT(r > 0 || r == -ENOMEM);
	r = ga_wait(f, MANY, GA_ALL_COMPLETED, ga_now() + GA_SECONDS(1));
	EXPECT(r > 0 || r == -ENOMEM);
	r = ga_gather(f, MANY, 0);
	EXPECT(r == 0 || (r < 0 && memory.refused));
	for (int i = 0; i < MANY; i++)
		EXPECT(ga_done(f[i])); /* none outlives the frame, whatever happened */
	ga_release_all(f, MANY);
	return verdict(r);
}

PROGRAM(gathers_that_return_exceptions, 5, .virtual_time = true)
{
	ga_future *f[MANY];
	int r;

	for (int i = 0; i < MANY; i++)
		f[i] = ga_spawn(i == 7 ? fail_now : sleep_then_return, &one);
	r = ga_gather(f, MANY, GA_RETURN_EXCEPTIONS);
	EXPECT(r == 0 || r == -ENOMEM);
	for (int i = 0; i < MANY; i++)
		EXPECT(ga_done(f[i]));
	ga_release_all(f, MANY);
	return r;
}

PROGRAM(timeouts, 5, .virtual_time = true)
{
	GA_AUTO ga_future *t = ga_spawn(sleep_then_return, &three);
	struct ga_timeout scope;
	int r = ga_timeout_enter(&scope, ga_now() + GA_SECONDS(1));

	EXPECT(r == 0 || r == -ENOMEM);
	if (r == 0) {
		r = ga_sleep(GA_SECONDS(2));
		EXPECT(r == -ECANCELED || r == -ENOMEM);
		r = ga_timeout_exit(&scope, r);
		EXPECT(r == -ETIMEDOUT || r == -ENOMEM);
	}
	r = ga_await_until(t, ga_now() + GA_SECONDS(1));
	EXPECT(r == -ETIMEDOUT || r == 3 || (r < 0 && memory.refused));
	return 0;
}

static int in_group(const void *arg)
{
	struct ga_group *g = (struct ga_group *)(uintptr_t)arg;
	int r = ga_sleep(GA_SECONDS(1));

	return r < 0 ? r : ga_group_spawn(g, fail_now, NULL);
}

PROGRAM(groups, 5, .virtual_time = true)
{
	struct ga_group g;
	int r = ga_group_enter(&g), body = 0;

	EXPECT(r == 0 || r == -ENOMEM);
	if (r < 0)
		return r;
	for (int i = 0; i < MANY && body == 0; i++)
		body = ga_group_spawn(&g, i == 5 ? in_group : sleep_then_return,
				      i == 5 ? (const void *)&g : &three);
	EXPECT(body == 0 || body == -ENOMEM);
	r = ga_group_exit(&g, body);
	EXPECT(r == -EIO || (r < 0 && memory.refused));
	(void)ga_failures(NULL, &(size_t){ 0 });
	return 0;
}

PROGRAM(futures_as_they_complete, 5, .virtual_time = true)
{
	ga_future *f[MANY], *next;
	ga_as_completed *it;
	int r, given = 0;

	for (int i = 0; i < MANY; i++)
		f[i] = ga_sleep_future(GA_MILLISECONDS(MANY - i));
	r = ga_as_completed_new(f, MANY, &it);
	EXPECT(r == 0 || r == -ENOMEM);
	for (int tries = 0; r == 0 && given < MANY && tries < 3 * MANY; tries++) {
		int step = ga_as_completed_next(it, SOON, &next);

		EXPECT(step == 0 || step == -ENOMEM);
		given += step == 0;
		if (step < 0)
			break;
	}
	EXPECT(given == MANY || memory.refused);
	if (r == 0)
		ga_as_completed_free(it);
	ga_release_all(f, MANY);
	return 0;
}

static int return_one(void *arg)
{
	return *(const int *)arg;
}

static int afters;

static void note_after(void *arg GA_UNUSED)
{
	afters++;
}

PROGRAM(executor_calls, 5, .virtual_time = false)
{
	ga_future *f[MANY];
	int made = 0, number = 1, r;

	afters = 0;
	for (int i = 0; i < MANY; i++) {
		f[i] = ga_executor_with(i % 2 ? GA_POOL_IO : GA_POOL_CPU, return_one, &number,
					note_after);
		made += f[i] != NULL;
	}
	for (int i = 0; i < MANY; i++) {
		r = ga_await(f[i]);
		EXPECT(r == 1 || (memory.refused && (r == -ENOMEM || r == -EAGAIN)));
	}
	ga_release_all(f, MANY);
	(void)ga_sleep(0);
	EXPECT(afters <= made);
	return 0;
}

static int put_many(const void *arg)
{
	for (int i = 0; i < MANY; i++) {
		int r = ga_queue_put((ga_queue *)(uintptr_t)arg, NULL, GA_NEVER);

		if (r < 0)
			return r;
	}
	return 0;
}

PROGRAM(queues_and_locks, 5, .virtual_time = true)
{
	const struct ga_queue_options options = { .max = MANY / 2 };
	struct ga_lock lock = { 0 };
	ga_queue *q = NULL;
	ga_future *t;
	void *item;
	int r = ga_queue_new(&options, &q), got = 0;

	EXPECT(r == 0 || r == -ENOMEM);
	if (r < 0)
		return r;
	t = ga_spawn(put_many, q);
	while (got < MANY && ga_queue_get(q, SOON, &item) == 0)
		got++;
	EXPECT(got == MANY || memory.refused);
	(void)ga_cancel(t);
	(void)ga_await(t);
	ga_release(t);
	ga_queue_free(q);
	r = ga_lock_acquire(&lock, SOON);
	EXPECT(r == 0);
	r = ga_lock_acquire(&lock, ga_now() + GA_SECONDS(1));
	EXPECT(r == -ETIMEDOUT || r == -ENOMEM);
	EXPECT(ga_lock_release(&lock) == 0);
	return 0;
}

static int answer(ga_stream *s, const void *arg GA_UNUSED)
{
	char *line;
	int64_t n = ga_stream_read_until(s, "\n", 100000, SOON, &line);

	return n < 0 ? (int)n : ga_stream_write(s, "well\n", 5, SOON);
}

static int serve(const void *arg)
{
	return ga_serve((ga_server *)(uintptr_t)arg, answer, NULL);
}

static int ask(ga_server *server)
{
	static char much[60000];
	ga_stream *s = NULL;
	char *line;
	int64_t n;
	int r = ga_connect_tcp("127.0.0.1", ga_server_port(server), SOON, &s);

	if (r < 0)
		return r;
	memset(much, 'x', sizeof(much));
	much[sizeof(much) - 1] = '\n';
	r = ga_stream_write(s, much, sizeof(much), SOON);
	n = r < 0 ? r : ga_stream_read_until(s, "\n", 100, SOON, &line);
	ga_stream_close(s);
	return n == 5 ? 0 : (int)n;
}

PROGRAM(streams_and_servers, 10, .virtual_time = false)
{
	ga_server *server = NULL;
	ga_future *t;
	int r = ga_listen_tcp(NULL, 0, &server);

	EXPECT(r == 0 || r == -ENOMEM);
	if (r < 0)
		return r;
	t = ga_spawn(serve, server);
	r = ask(server);
	EXPECT(r == 0 || memory.refused);
	(void)ga_cancel(t);
	(void)ga_await(t);
	ga_release(t);
	ga_server_close(server);
	return verdict(r);
}

PROGRAM(readiness_and_signals, 3, .virtual_time = false)
{
	GA_AUTO ga_future *signalled = ga_signal_future(SIGUSR1);
	GA_AUTO ga_future *ready = NULL;
	int ends[2], r;

	EXPECT(pipe2(ends, O_CLOEXEC) == 0);
	ready = ga_ready_future(ends[0], false);
	EXPECT(write(ends[1], "x", 1) == 1);
	r = ga_await(ready);
	EXPECT(r == 0 || (r < 0 && memory.refused));
	close(ends[0]);
	close(ends[1]);
	EXPECT(!signalled || raise(SIGUSR1) == 0);
	r = ga_await(signalled);
	EXPECT(r == SIGUSR1 || (r < 0 && memory.refused));
	return 0;
}

PROGRAM(processes, 5, .virtual_time = false)
{
	const char *const argv[] = { "/bin/sh", "-c", "cat; echo done", NULL };
	const struct ga_process_options options = { .in = GA_STDIO_PIPE, .out = GA_STDIO_PIPE };
	struct ga_output out = { 0 };
	ga_process *p = NULL;
	int r = ga_process_start(argv, &options, &p);

	EXPECT(r == 0 || (r < 0 && memory.refused && !p));
	if (r < 0)
		return verdict(r);
	r = ga_process_communicate(p, "text ", 5, 100000, SOON, &out, NULL);
	EXPECT((r == 0 && out.size == 10) || (r < 0 && memory.refused));
	ga_output_free(&out);
	ga_process_free(p);
	return verdict(r);
}

static struct canned_server web;

PROGRAM(http_requests, 10, .virtual_time = false)
{
	const struct ga_http_client_options options = { .allow = "*", .max_connections = 2 };
	const struct ga_http_header headers[] = { { "X-One", "1" }, { "X-Two", "2" } };
	ga_http_client *client = NULL;
	ga_future *f[4];
	char url[64];
	int r = ga_http_client_new(&options, NULL, 0, &client);

	EXPECT(r == 0 || r == -ENOMEM);
	if (r < 0)
		return r;
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/to", web.port);
	for (int i = 0; i < 4; i++) {
		const struct ga_http_request request = { .url = url,
							 .headers = headers,
							 .header_count = 2,
							 .follow = 3,
							 .deadline = SOON,
							 .client = client };

		f[i] = ga_http_request(&request);
	}
	for (int i = 0; i < 4; i++) {
		r = ga_await(f[i]);
		EXPECT(r == 200 || (r < 0 && memory.refused));
	}
	ga_release_all(f, 4);
	if (memory.granted == INT32_MAX) { /* it is there again, and the client works */
		const struct ga_http_request again = { .url = url, .follow = 3, .client = client };

		f[0] = ga_http_request(&again);
		EXPECT(ga_await(f[0]) == 200);
		ga_release(f[0]);
	}
	ga_http_client_free(client);
	return 0;
}

PROGRAM(lookups, 3, .virtual_time = false)
{
	struct ga_address *addresses = NULL;
	int r = ga_lookup("localhost", 80, SOON, &addresses);

	EXPECT(r > 0 || (r < 0 && memory.refused));
	free(addresses);
	return 0;
}

PROGRAM(runners_in_debug_mode, 3, .virtual_time = true, .debug = true)
{
	ga_release(ga_spawn(sleep_then_return, &three)); /* cancelled at the end */
	return verdict(ga_sleep(GA_SECONDS(1)));
}

static void no_log(int severity GA_UNUSED, const char *text GA_UNUSED)
{
}

static int start_web(void **state GA_UNUSED)
{
	canned_start(&web);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tasks_and_callbacks),
		cmocka_unit_test(gather_and_wait),
		cmocka_unit_test(gathers_that_return_exceptions),
		cmocka_unit_test(timeouts),
		cmocka_unit_test(groups),
		cmocka_unit_test(futures_as_they_complete),
		cmocka_unit_test(executor_calls),
		cmocka_unit_test(queues_and_locks),
		cmocka_unit_test(streams_and_servers),
		cmocka_unit_test(readiness_and_signals),
		cmocka_unit_test(processes),
		cmocka_unit_test_setup(http_requests, start_web),
		cmocka_unit_test(lookups),
		cmocka_unit_test(runners_in_debug_mode),
	};

	event_set_log_callback(no_log);
	event_set_mem_functions(__wrap_malloc, __wrap_realloc, free);
	return TAP_RUN(tests);
}
