/*
 * load.c — the client of all echo servers: load PORT CONNECTIONS BYTES COUNT
 *
 * Each connection sends a message when the last one is back, until COUNT are. One thread on epoll, edge-triggered, so that it
 * costs less than the servers. Checks each byte that comes back.
 */
#include "timed.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS 512

struct connection {
	int fd;
	unsigned received; /* of the message that is out */
	int64_t sent;
};

static struct figures figures;
static char *message, *answer;
static unsigned size;
static unsigned long to_send, to_receive;

static void die(const char *what)
{
	figures_fail("%s: %s", what, strerror(errno));
}

static void send_message(struct connection *c)
{
	if (to_send == 0)
		return;
	to_send--;
	c->received = 0;
	c->sent = figures_now();
	if (send(c->fd, message, size, MSG_NOSIGNAL) != (ssize_t)size)
		die("send");
}

static void receive(struct connection *c)
{
	ssize_t n = recv(c->fd, answer, size - c->received, 0);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0)
		die("recv");
	if (memcmp(answer, message + c->received, (size_t)n) != 0)
		figures_fail("what came back is something else");
	c->received += (unsigned)n;
	if (c->received < size)
		return;
	to_receive--;
	figures_add(&figures, c->sent);
	send_message(c);
}

static void connect_to(struct connection *c, int port, int epoll)
{
	const struct sockaddr_in address = { .sin_family = AF_INET,
					     .sin_port = htons((uint16_t)port),
					     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.ptr = c };
	int one = 1;

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0 ||
	    fcntl(c->fd, F_SETFL, O_NONBLOCK) < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event) < 0)
		die("connect");
}

/* Until `count` messages are back. */
static void exchange(struct connection *all, unsigned connections, int epoll, unsigned long count)
{
	struct epoll_event events[EVENTS];

	to_send = to_receive = count;
	for (unsigned i = 0; i < connections; i++)
		send_message(&all[i]);
	while (to_receive > 0) {
		int n = epoll_wait(epoll, events, EVENTS, 10000);

		if (n <= 0)
			die("no answer");
		for (int i = 0; i < n; i++)
			receive(events[i].data.ptr);
	}
}

int main(int argc, char **argv)
{
	unsigned connections = argc == 5 ? (unsigned)atoi(argv[2]) : 0;
	unsigned long count = argc == 5 ? strtoul(argv[4], NULL, 10) : 0;
	struct connection *all = calloc(connections, sizeof(*all));
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	if (!connections || !all || epoll < 0)
		figures_fail("usage: load PORT CONNECTIONS BYTES COUNT");
	size = (unsigned)atoi(argv[3]);
	message = malloc(size);
	answer = malloc(size);
	for (unsigned i = 0; i < size; i++)
		message[i] = (char)(i * 31);
	for (unsigned i = 0; i < connections; i++)
		connect_to(&all[i], atoi(argv[1]), epoll);
	exchange(all, connections, epoll, timed_warm_up(count));
	memset(&figures, 0, sizeof(figures));
	figures_start(&figures);
	exchange(all, connections, epoll, count);
	figures_print(&figures);
	return 0;
}
