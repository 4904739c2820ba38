/*
 * libuv.c — libuv's part: libuv timer|executor COUNT, libuv sleeps COUNT, libuv echo PORT
 */
#include "timed.h"
#include <uv.h>

#define OTHERS 10000

static void check(int r)
{
	if (r < 0)
		figures_fail("%s", uv_strerror(r));
}

static void never(uv_timer_t *t)
{
	(void)t;
	figures_fail("a timer fired");
}

static void timer(unsigned long count)
{
	static uv_timer_t others[OTHERS], t;
	uv_loop_t *l = uv_default_loop();

	for (int i = 0; i < OTHERS; i++) {
		if (!others[i].loop)
			check(uv_timer_init(l, &others[i]));
		check(uv_timer_start(&others[i], never, 30000 + (uint64_t)i * 7919 % OTHERS, 0));
	}
	if (!t.loop)
		check(uv_timer_init(l, &t));
	for (unsigned long i = 0; i < count; i++) {
		check(uv_timer_start(&t, never, 30000 + i % OTHERS, 0));
		check(uv_timer_stop(&t));
	}
	for (int i = 0; i < OTHERS; i++)
		check(uv_timer_stop(&others[i]));
}

static unsigned long left;

static void work(uv_work_t *w)
{
	(void)w;
}

static void after_work(uv_work_t *w, int status)
{
	check(status);
	if (--left > 0)
		check(uv_queue_work(w->loop, w, work, after_work));
}

static void executor(unsigned long count)
{
	uv_work_t w;

	left = count;
	check(uv_queue_work(uv_default_loop(), &w, work, after_work));
	check(uv_run(uv_default_loop(), UV_RUN_DEFAULT));
}

static void over(uv_timer_t *t)
{
	uv_close((uv_handle_t *)t, NULL);
}

static void sleeps(unsigned long count)
{
	uv_timer_t *all = malloc(count * sizeof(*all));
	int64_t started = figures_now();

	for (unsigned long i = 0; i < count; i++) {
		check(uv_timer_init(uv_default_loop(), &all[i]));
		check(uv_timer_start(&all[i], over, 1000, 0));
	}
	check(uv_run(uv_default_loop(), UV_RUN_DEFAULT));
	timed_print(count, started);
	free(all);
}

static char data[65536]; /* tried at once, and copied if the kernel doesn't take it */

struct copy {
	uv_write_t write;
	char data[];
};

static void lend(uv_handle_t *h, size_t wanted, uv_buf_t *ret_buf)
{
	(void)h;
	(void)wanted;
	*ret_buf = uv_buf_init(data, sizeof(data));
}

static void written(uv_write_t *write, int status)
{
	check(status);
	free(write);
}

static void echo_rest(uv_stream_t *s, const char *rest, size_t size)
{
	struct copy *c = malloc(sizeof(*c) + size);
	uv_buf_t buf = uv_buf_init(c->data, (unsigned)size);

	memcpy(c->data, rest, size);
	check(uv_write(&c->write, s, &buf, 1, written));
}

static void freed(uv_handle_t *h)
{
	free(h);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	uv_buf_t out = uv_buf_init(buf->base, n > 0 ? (unsigned)n : 0);
	int sent;

	if (n < 0) {
		uv_close((uv_handle_t *)s, freed);
		return;
	}
	sent = n > 0 ? uv_try_write(s, &out, 1) : 0;
	if (sent == UV_EAGAIN)
		sent = 0;
	check(sent);
	if (sent < n)
		echo_rest(s, buf->base + sent, (size_t)(n - sent));
}

static void on_connection(uv_stream_t *server, int status)
{
	uv_tcp_t *tcp = malloc(sizeof(*tcp));

	check(status);
	check(uv_tcp_init(server->loop, tcp));
	check(uv_accept(server, (uv_stream_t *)tcp));
	check(uv_tcp_nodelay(tcp, 1));
	check(uv_read_start((uv_stream_t *)tcp, lend, on_read));
}

static void echo(int port)
{
	struct sockaddr_in address;
	uv_tcp_t server;

	check(uv_ip4_addr("127.0.0.1", port, &address));
	check(uv_tcp_init(uv_default_loop(), &server));
	check(uv_tcp_bind(&server, (const struct sockaddr *)&address, 0));
	check(uv_listen((uv_stream_t *)&server, 4096, on_connection));
	check(uv_run(uv_default_loop(), UV_RUN_DEFAULT));
}

int main(int argc, char **argv)
{
	static const struct timed_workload workloads[] = { { "timer", timer },
							   { "executor", executor } };

	if (argc == 3 && strcmp(argv[1], "echo") == 0)
		echo(atoi(argv[2]));
	else if (argc == 3 && strcmp(argv[1], "sleeps") == 0)
		sleeps(strtoul(argv[2], NULL, 10));
	else
		return timed_main(argc, argv, workloads, sizeof(workloads) / sizeof(workloads[0]));
	return 0;
}
