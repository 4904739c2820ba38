/*
 * epoll.c — the least that a server can do: epoll echo PORT; and a client of one: epoll connect PORT COUNT AT_ONCE
 */
#include "timed.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS 512

static void die(const char *what)
{
	figures_fail("%s: %s", what, strerror(errno));
}

static struct sockaddr_in loopback(int port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons((uint16_t)port),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static int watch(int epoll, int fd, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.fd = fd };

	return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

static void accept_all(int epoll, int server)
{
	int fd, one = 1;

	while ((fd = accept4(server, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
		if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0 ||
		    watch(epoll, fd, EPOLLIN) < 0)
			die("accept");
}

/* A message is always less than the socket's buffers hold, so that one send is enough. */
static void echo_back(int fd)
{
	static char data[65536];
	ssize_t n = recv(fd, data, sizeof(data), 0);

	if (n > 0 && send(fd, data, (size_t)n, MSG_NOSIGNAL) != n)
		die("send");
	if (n == 0 || (n < 0 && errno != EAGAIN))
		close(fd);
}

static void echo(int port)
{
	const struct sockaddr_in address = loopback(port);
	int server = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int epoll = epoll_create1(EPOLL_CLOEXEC), one = 1;
	struct epoll_event events[EVENTS];

	if (setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    bind(server, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(server, 4096) < 0 || watch(epoll, server, EPOLLIN) < 0)
		die("listen");
	for (;;) {
		int n = epoll_wait(epoll, events, EVENTS, -1);

		for (int i = 0; i < n; i++)
			if (events[i].data.fd == server)
				accept_all(epoll, server);
			else
				echo_back(events[i].data.fd);
	}
}

static void start_connection(int epoll, int port)
{
	const struct sockaddr_in address = loopback(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 ||
	    (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 &&
	     errno != EINPROGRESS) ||
	    watch(epoll, fd, EPOLLOUT) < 0)
		die("connect");
}

static void connect_and_close(int port, unsigned long count, unsigned long at_once)
{
	unsigned long left = count, to_start = count;
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event events[EVENTS];

	while (at_once-- > 0 && to_start-- > 0)
		start_connection(epoll, port);
	while (left > 0) {
		int n = epoll_wait(epoll, events, EVENTS, 10000);

		if (n <= 0)
			die("no connection");
		for (int i = 0; i < n; i++) {
			if (events[i].events & (EPOLLERR | EPOLLHUP))
				figures_fail("a connection failed");
			close(events[i].data.fd);
			left--;
			if (to_start > 0) {
				to_start--;
				start_connection(epoll, port);
			}
		}
	}
	close(epoll);
}

int main(int argc, char **argv)
{
	int64_t started;

	if (argc == 3 && strcmp(argv[1], "echo") == 0)
		echo(atoi(argv[2]));
	if (argc != 5 || strcmp(argv[1], "connect") != 0)
		figures_fail("usage: epoll echo PORT | connect PORT COUNT AT_ONCE");
	started = figures_now();
	connect_and_close(atoi(argv[2]), strtoul(argv[3], NULL, 10), strtoul(argv[4], NULL, 10));
	timed_print(strtoul(argv[3], NULL, 10), started);
	return 0;
}
