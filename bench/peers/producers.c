/*
 * Many producers, each on a connection of its own and with one job to be accepted at a time:
 *
 *	producers PROTOCOL WHERE COUNT PRODUCERS
 *
 * PROTOCOL: lines (gatherd), beanstalkd, redis. What is measured is how long a job takes to be accepted. A thread serves
 * them all, so that the client costs the same beside each server.
 */
#include "connection.h"
#include <sys/epoll.h>

struct protocol {
	const char *name;
	const char *greeting, *greeted; /* said once, and how its answer begins */
	const char *job, *accepted;
};

#define BODY "0123456789012345678901234567890123456789012345678901234567890123"

static const struct protocol protocols[] = {
	{ "lines", NULL, NULL,
	  "{\"type\":\"noop\",\"durability\":\"fsync\",\"args\":{\"echo\":\"" BODY "\"}}\n", "{\"id\"" },
	{ "beanstalkd", "use jobs\r\n", "USING", "put 0 0 60 64\r\n" BODY "\r\n", "INSERTED" },
	{ "redis", NULL, NULL, "*3\r\n$5\r\nLPUSH\r\n$4\r\njobs\r\n$64\r\n" BODY "\r\n", ":" },
};

struct producer {
	struct connection connection;
	int64_t sent;
};

static void expect(const char *line, const char *start)
{
	if (strncmp(line, start, strlen(start)) != 0)
		figures_fail("the server says %s instead of %s", line, start);
}

static void produce(struct producer *p, const struct protocol *protocol)
{
	p->sent = figures_now();
	connection_write(&p->connection, protocol->job, strlen(protocol->job));
}

static int run(const struct protocol *protocol, const char *where, long count, int producers)
{
	static struct figures f;
	struct producer *all = calloc((size_t)producers, sizeof(*all));
	struct epoll_event events[256];
	int poll = epoll_create1(EPOLL_CLOEXEC);
	long begun = 0;

	for (int i = 0; i < producers; i++) {
		struct epoll_event event = { .events = EPOLLIN, .data.ptr = &all[i] };

		connection_open(&all[i].connection, where);
		epoll_ctl(poll, EPOLL_CTL_ADD, all[i].connection.fd, &event);
		if (!protocol->greeting)
			continue;
		connection_write(&all[i].connection, protocol->greeting, strlen(protocol->greeting));
		expect(connection_line(&all[i].connection), protocol->greeted);
	}
	figures_start(&f);
	for (; begun < producers && begun < count; begun++)
		produce(&all[begun], protocol);
	while ((long)f.count < count) {
		int ready = epoll_wait(poll, events, 256, -1);

		for (int i = 0; i < ready; i++) {
			struct producer *p = events[i].data.ptr;
			const char *line;

			connection_read(&p->connection);
			line = connection_line_here(&p->connection);
			if (!line)
				continue;
			expect(line, protocol->accepted);
			figures_add(&f, p->sent);
			if (begun++ < count)
				produce(p, protocol);
		}
	}
	figures_print(&f);
	return 0;
}

int main(int argc, char *argv[])
{
	if (argc != 5)
		return 2;
	for (size_t i = 0; i < sizeof(protocols) / sizeof(*protocols); i++)
		if (!strcmp(argv[1], protocols[i].name))
			return run(&protocols[i], argv[2], atol(argv[3]), atoi(argv[4]));
	return 2;
}
