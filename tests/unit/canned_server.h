/*
 * canned_server.h — an HTTP server on a thread that answers by path, one connection after the other.
 *
 * /echo gives the request back as the body; /slow never answers, and counts when the client has closed; what it doesn't
 * know is 404.
 */
#pragma once
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct canned_server {
	pthread_t thread;
	int fd;
	uint16_t port;
	atomic_int closed_early, requests;
};

struct canned_answer {
	const char *path, *status, *headers, *body;
};

static const struct canned_answer canned_answers[] = {
	{ "/ok", "200 OK",
	  "Set-Cookie: a=1\r\nX-Plain: \"quoted\"\r\nset-cookie: b=2\r\nContent-Type: text/x\r\n",
	  "hello" },
	{ "/empty", "204 No Content", "", "" },
	{ "/404", "404 Not Found", "", "nope" },
	{ "/503", "503 Service Unavailable", "Retry-After: 2\r\n", "later" },
	{ "/429", "429 Too Many Requests", "Retry-After: Fri, 01 Jan 2100 00:00:00 GMT\r\n", "" },
	{ "/500", "500 Internal Server Error", "Retry-After: soon\r\n", "" },
	{ "/loop", "302 Found", "Location: /loop\r\n", "" },
	{ "/to", "302 Found", "Location: /ok\r\n", "" },
	{ "/file", "302 Found", "Location: file:///etc/passwd\r\n", "" },
	{ "/latin", "200 OK", "X-Name: \xe4\x01\r\n", "" },
};

static inline void canned_send(int fd, const char *status, const char *headers, const char *body,
			       size_t size)
{
	char head[1024];
	int n = snprintf(head, sizeof(head),
			 "HTTP/1.1 %s\r\n%sConnection: close\r\nContent-Length: %zu\r\n\r\n",
			 status, headers, size);

	(void)!send(fd, head, (size_t)n, MSG_NOSIGNAL);
	for (size_t at = 0; at < size;) {
		ssize_t sent = send(fd, body + at, size - at, MSG_NOSIGNAL);

		if (sent <= 0)
			break;
		at += (size_t)sent;
	}
}

static inline void canned_answer(struct canned_server *s, int fd, const char *request, size_t size)
{
	static char big[2 << 20];
	struct pollfd hung = { .fd = fd, .events = POLLIN | POLLRDHUP };
	size_t path_size = strcspn(strchr(request, ' ') + 1, " ?");
	const char *path = strchr(request, ' ') + 1;

	if (strncmp(path, "/echo", 5) == 0) {
		canned_send(fd, "200 OK", "", request, size);
	} else if (strncmp(path, "/big", 4) == 0) {
		canned_send(fd, "200 OK", "", big, sizeof(big));
	} else if (strncmp(path, "/slow", 5) == 0) {
		if (poll(&hung, 1, 15000) > 0)
			s->closed_early++;
	} else if (strncmp(path, "/close", 6) != 0) {
		for (size_t i = 0; i < sizeof(canned_answers) / sizeof(canned_answers[0]); i++) {
			const struct canned_answer *a = &canned_answers[i];

			if (strlen(a->path) == path_size && strncmp(a->path, path, path_size) == 0) {
				canned_send(fd, a->status, a->headers, a->body, strlen(a->body));
				return;
			}
		}
		canned_send(fd, "404 Not Found", "", "", 0);
	}
}

static inline void canned_connection(struct canned_server *s, int fd)
{
	static char request[65536];
	size_t size = 0, body = 0;
	const char *end = NULL, *length;

	while (size < sizeof(request) - 1 && (!end || size < (size_t)(end + 4 - request) + body)) {
		ssize_t n = recv(fd, request + size, sizeof(request) - 1 - size, 0);

		if (n <= 0)
			return;
		size += (size_t)n;
		request[size] = '\0';
		end = strstr(request, "\r\n\r\n");
		length = strcasestr(request, "\r\nContent-Length: ");
		body = length ? strtoul(length + 18, NULL, 10) : 0;
	}
	s->requests++;
	canned_answer(s, fd, request, size);
}

static inline void *canned_main(void *arg)
{
	struct canned_server *s = arg;
	int fd;

	while ((fd = accept(s->fd, NULL, NULL)) >= 0) {
		canned_connection(s, fd);
		close(fd);
	}
	return NULL;
}

static inline int canned_start(struct canned_server *s)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(a);

	memset(s, 0, sizeof(*s));
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s->fd < 0 || bind(s->fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    listen(s->fd, 64) < 0 || getsockname(s->fd, (struct sockaddr *)&a, &size) < 0)
		return -1;
	s->port = ntohs(a.sin_port);
	return pthread_create(&s->thread, NULL, canned_main, s) == 0 ? 0 : -1;
}

static inline void canned_stop(struct canned_server *s)
{
	shutdown(s->fd, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	close(s->fd);
}
