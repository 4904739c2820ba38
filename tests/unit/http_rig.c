#include "http_rig.h"

#define SOON (ga_now() + GA_SECONDS(20))

static int write_text(ga_stream *s, const char *text)
{
	return ga_stream_write(s, text, strlen(text), SOON);
}

static int answer(ga_stream *s, int status, const char *headers, const void *body, size_t size)
{
	char head[2048];
	int n = snprintf(head, sizeof(head), "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n%s\r\n",
			 status, size, headers);

	return ga_stream_write_two(s, head, (size_t)n, body, size, SOON);
}

static int answer_gzip(ga_stream *s)
{
	/* printf 'a%.0s' $(seq 1000) | gzip -9n */
	static const unsigned char body[] = { 0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00,
					      0x02, 0x03, 0x4b, 0x4c, 0x1c, 0x05, 0xa3, 0x60,
					      0x14, 0x0c, 0x77, 0x00, 0x00, 0x03, 0xda, 0x38,
					      0x9a, 0xe8, 0x03, 0x00, 0x00 };

	return answer(s, 200, "Content-Encoding: gzip\r\n", body, sizeof(body));
}

static int answer_bytes(ga_stream *s, long size)
{
	char *body = malloc((size_t)size + 1);
	int r;

	if (!body)
		return -ENOMEM;
	memset(body, 'b', (size_t)size);
	r = answer(s, 200, "", body, (size_t)size);
	free(body);
	return r;
}

static int answer_endless(ga_stream *s)
{
	int r = write_text(s, "HTTP/1.1 200 X\r\n\r\n");

	while (r == 0)
		r = write_text(
			s, "and so on, and so on, and so on, and so on, and so on, and so on, and so on\n");
	return r;
}

static int answer_huge_headers(ga_stream *s)
{
	int r = write_text(s, "HTTP/1.1 200 X\r\n");

	for (int i = 0; i < 20000 && r == 0; i++)
		r = write_text(s, "X-One-More: of these lines that add up\r\n");
	return r;
}

static int hang(struct http_rig *rig, ga_stream *s)
{
	char c;

	if (ga_stream_read(s, &c, 1, SOON) == 0)
		rig->hung_up++;
	return -ECONNRESET;
}

static int redirect(ga_stream *s, int status, const char *to)
{
	char headers[1200];

	snprintf(headers, sizeof(headers), "Location: %s\r\n", to ? to + 1 : "");
	return answer(s, status, headers, "", 0);
}

static int respond(struct http_rig *rig, ga_stream *s, const char *path)
{
	const char *query = strchr(path, '?');
	int number = 0;

	if (strcmp(path, "/hang") == 0)
		return hang(rig, s);
	if (sscanf(path, "/status/%d", &number) == 1)
		return answer(s, number, "X-Name:  spaced value \r\nx-empty:\r\n", "said", 4);
	if (strncmp(path, "/to?", 4) == 0)
		return redirect(s, 302, query);
	if (sscanf(path, "/see/%d", &number) == 1)
		return redirect(s, number, query);
	if (strcmp(path, "/gzip") == 0)
		return answer_gzip(s);
	if (sscanf(path, "/body/%d", &number) == 1)
		return answer_bytes(s, number);
	if (strcmp(path, "/endless") == 0)
		return answer_endless(s);
	if (strcmp(path, "/drop") == 0)
		return -ECONNRESET;
	if (strcmp(path, "/lie") == 0)
		return write_text(s, "HTTP/1.1 200 X\r\nContent-Length: 100\r\n\r\nshort") < 0
			       ? -1
			       : -ECONNRESET;
	if (strcmp(path, "/garbage") == 0)
		return write_text(s, "SSH-2.0-no\r\n\r\n") < 0 ? -1 : -ECONNRESET;
	if (strcmp(path, "/interim") == 0)
		return write_text(
			s, "HTTP/1.1 103 Hints\r\nX-Early: yes\r\n\r\nHTTP/1.1 200 X\r\nContent-Length: 2\r\n\r\nok");
	if (strcmp(path, "/huge-headers") == 0)
		return answer_huge_headers(s);
	if (strcmp(path, "/slow") == 0 && ga_sleep(GA_MILLISECONDS(10)) < 0)
		return -ECANCELED;
	return answer(s, 200, "", "hello", 5);
}

/* Read a request into rig->last; its path into `path`. */
static int take_request(struct http_rig *rig, ga_stream *s, char path[1024])
{
	const char *length;
	char *head;
	int64_t n = ga_stream_read_until(s, "\r\n\r\n", sizeof(rig->last) - 1024, SOON, &head);
	int size = 0;

	if (n < 0)
		return (int)n;
	memcpy(rig->last, head, (size_t)n);
	rig->last[n] = '\0';
	if (sscanf(rig->last, "%*s %1023s", path) != 1)
		return -EPROTO;
	length = strcasestr(rig->last, "\r\nContent-Length:");
	if (length && sscanf(length + 17, "%d", &size) == 1 && size > 0 && size < 1000) {
		if (ga_stream_read_exactly(s, rig->last + n, (size_t)size, SOON) < 0)
			return -ENODATA;
		rig->last[n + size] = '\0';
	}
	rig->requests++;
	return 0;
}

static int handle(ga_stream *s, const void *arg)
{
	struct http_rig *rig = (struct http_rig *)(uintptr_t)arg;
	char path[1024];
	int r = 0;

	rig->connections++;
	while (r == 0 && (r = take_request(rig, s, path)) == 0) {
		if (++rig->open > rig->open_max)
			rig->open_max = rig->open;
		r = respond(rig, s, path);
		rig->open--;
	}
	return r;
}

static int serve(const void *arg)
{
	const struct http_rig *rig = arg;
	const struct ga_serve_options options = { .arg = rig };

	return ga_serve(rig->server, handle, &options);
}

int http_rig_start(struct http_rig *rig)
{
	int r;

	*rig = (struct http_rig){ 0 };
	r = ga_listen_tcp(NULL, 0, &rig->server);
	if (r < 0)
		return r;
	rig->port = ga_server_port(rig->server);
	rig->task = ga_spawn(serve, rig);
	return rig->task ? 0 : -ENOMEM;
}

int http_rig_stop(struct http_rig *rig)
{
	int r;

	ga_cancel(rig->task);
	r = ga_await(rig->task);
	ga_release(rig->task);
	ga_server_close(rig->server);
	return r == -ECANCELED ? 0 : -1;
}

const char *http_rig_url(const struct http_rig *rig, const char *path)
{
	static char urls[8][1200];
	static unsigned turn;
	char *url = urls[turn++ % 8];

	snprintf(url, sizeof(urls[0]), "http://127.0.0.1:%u%s", (unsigned)rig->port, path);
	return url;
}
