/*
 * Jobs of one type through client.h, at most WINDOW in flight:
 *
 *	records SOCKET TYPE ARGS COUNT WINDOW [OPTIONS]
 *
 * What is ready leaves together, as in any program that uses the library.
 */
#include "figures.h"
#include <gather/client.h>
#include <string.h>

/* The tag of a job is the time at which it was handed over. */
static void submit(ga_client *client, const char *type, const char *args, const char *options)
{
	const struct ga_submission job = { .type = type,
					   .args = args,
					   .options = options,
					   .tag = (uint64_t)figures_now(),
					   .want_result = true };
	int result = ga_client_submit(client, &job);

	if (result < 0)
		figures_fail("submit: %s", strerror(-result));
}

static void take_result(ga_client *client, struct figures *f)
{
	struct ga_client_event event;
	int result = ga_client_next(client, GA_CLIENT_FOREVER, &event);

	if (result < 0)
		figures_fail("next: %s", strerror(-result));
	if (event.kind != GA_EVENT_FINISHED || event.state != GA_SUCCEEDED)
		figures_fail("job %s: %.*s %.*s", event.id, (int)event.code.size, event.code.data,
			     (int)event.message.size, event.message.data);
	figures_add(f, (int64_t)event.tag);
}

int main(int argc, char *argv[])
{
	static struct figures f;
	ga_client *client;
	int count, window, result;

	if (argc != 6 && argc != 7)
		return 2;
	count = atoi(argv[4]);
	window = atoi(argv[5]);
	result = ga_client_connect(argv[1], &client);
	if (result < 0)
		figures_fail("%s: %s", argv[1], strerror(-result));
	figures_start(&f);
	for (int sent = 0, done = 0; done < count; done++) {
		for (; sent < count && sent - done < window; sent++)
			submit(client, argv[2], argv[3], argv[6]); /* NULL: none */
		take_result(client, &f);
	}
	figures_print(&f);
	ga_client_close(client);
	return 0;
}
