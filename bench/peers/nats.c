/*
 * NATS request-reply:
 *
 *	nats worker URL lone|flood
 *	nats client URL JOBS WINDOW
 *
 * A lone job is sent as soon as it is published; with many in flight the library gathers them.
 */
#include "figures.h"
#include <nats/nats.h>
#include <string.h>
#include <unistd.h>

static natsConnection *connect_to(const char *url, bool at_once)
{
	natsConnection *connection;
	natsOptions *options;
	natsStatus s;

	natsOptions_Create(&options);
	natsOptions_SetURL(options, url);
	natsOptions_SetSendAsap(options, at_once);
	s = natsConnection_Connect(&connection, options);
	if (s != NATS_OK)
		figures_fail("connect: %s", natsStatus_GetText(s));
	return connection;
}

static void answer(natsConnection *connection, natsSubscription *subscription, natsMsg *job,
		   void *context)
{
	(void)subscription;
	(void)context;
	natsConnection_Publish(connection, natsMsg_GetReply(job), natsMsg_GetData(job),
			       natsMsg_GetDataLength(job));
	natsMsg_Destroy(job);
}

static _Noreturn void worker(const char *url, bool lone)
{
	natsConnection *connection = connect_to(url, lone);
	natsSubscription *subscription;

	natsConnection_Subscribe(&subscription, connection, "job", answer, NULL);
	natsConnection_Flush(connection);
	figures_worker_ready();
	for (;;)
		pause();
}

static void receive(natsSubscription *subscription, struct figures *f)
{
	natsMsg *result;
	int64_t sent;
	natsStatus s = natsSubscription_NextMsg(&result, subscription, 10000);

	if (s != NATS_OK)
		figures_fail("receive: %s", natsStatus_GetText(s));
	memcpy(&sent, natsMsg_GetData(result), sizeof(sent));
	figures_add(f, sent);
	natsMsg_Destroy(result);
}

static int client(const char *url, int jobs, int window)
{
	static struct figures f;
	natsConnection *connection = connect_to(url, window == 1);
	natsSubscription *subscription;
	char payload[PAYLOAD_SIZE] = { 0 };

	natsConnection_SubscribeSync(&subscription, connection, "result");
	natsSubscription_SetPendingLimits(subscription, -1, -1);
	natsConnection_Flush(connection);
	figures_start(&f);
	for (int sent = 0, done = 0; done < jobs; done++) {
		for (; sent < jobs && sent - done < window; sent++) {
			int64_t now = figures_now();

			memcpy(payload, &now, sizeof(now));
			if (natsConnection_PublishRequest(connection, "job", "result", payload,
							  PAYLOAD_SIZE) != NATS_OK)
				figures_fail("can't publish");
		}
		receive(subscription, &f);
	}
	figures_print(&f);
	return 0;
}

int main(int argc, char *argv[])
{
	if (argc == 4 && !strcmp(argv[1], "worker"))
		worker(argv[2], !strcmp(argv[3], "lone"));
	if (argc == 5 && !strcmp(argv[1], "client"))
		return client(argv[2], atoi(argv[3]), atoi(argv[4]));
	return 2;
}
