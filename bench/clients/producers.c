/*
 * Many producers through client.h, each on a connection of its own and with one job to be accepted at a time:
 *
 *	producers_records SOCKET OPTIONS COUNT PRODUCERS
 */
#include "figures.h"
#include <gather/client.h>
#include <string.h>
#include <sys/epoll.h>

#define ARGS "{\"echo\":\"0123456789012345678901234567890123456789012345678901234567890123\"}"

static void check(int result, const char *what)
{
	if (result < 0)
		figures_fail("%s: %s", what, strerror(-result));
}

static void produce(ga_client *client, const char *options)
{
	const struct ga_submission job = { .type = "noop",
					   .args = ARGS,
					   .options = options,
					   .tag = (uint64_t)figures_now(),
					   .want_accepted = true };

	check(ga_client_submit(client, &job), "submit");
	check(ga_client_flush(client, GA_CLIENT_FOREVER), "flush");
}

static int run(const char *socket, const char *options, long count, int producers)
{
	static struct figures f;
	ga_client **all = calloc((size_t)producers, sizeof(ga_client *));
	struct epoll_event events[256];
	int poll = epoll_create1(EPOLL_CLOEXEC);
	long begun = 0;

	for (int i = 0; i < producers; i++) {
		struct epoll_event event = { .events = EPOLLIN };

		check(ga_client_connect(socket, &all[i]), socket);
		event.data.ptr = all[i];
		epoll_ctl(poll, EPOLL_CTL_ADD, ga_client_fd(all[i]), &event);
	}
	figures_start(&f);
	for (; begun < producers && begun < count; begun++)
		produce(all[begun], options);
	while ((long)f.count < count) {
		int ready = epoll_wait(poll, events, 256, -1);

		for (int i = 0; i < ready; i++) {
			ga_client *client = events[i].data.ptr;
			struct ga_client_event event;
			int got = ga_client_next(client, 0, &event);

			check(got, "next");
			if (got == 0)
				continue;
			if (event.kind != GA_EVENT_ACCEPTED)
				figures_fail("refused: %.*s", (int)event.message.size,
					     event.message.data);
			figures_add(&f, (int64_t)event.tag);
			if (begun++ < count)
				produce(client, options);
		}
	}
	figures_print(&f);
	return 0;
}

int main(int argc, char *argv[])
{
	return argc == 5 ? run(argv[1], argv[2], atol(argv[3]), atoi(argv[4])) : 2;
}
