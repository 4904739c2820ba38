/*
 * Redis lists as a job queue, the way the queues built on it work: jobs are pushed to one list, results to another.
 *
 *	redis worker WHERE PREFETCH        PREFETCH pops pipelined
 *	redis client WHERE JOBS WINDOW
 *
 * WHERE: the path of a Unix socket, or a port on loopback.
 */
#include "figures.h"
#include <hiredis/hiredis.h>
#include <string.h>

#define PUSHES_AT_ONCE 64

static redisContext *connect_to(const char *where)
{
	redisContext *c = strchr(where, '/') ? redisConnectUnix(where)
					     : redisConnect("127.0.0.1", atoi(where));

	if (!c || c->err)
		figures_fail("%s: can't connect", where);
	return c;
}

static redisReply *reply_of(redisContext *c, int type)
{
	void *reply = NULL;

	if (redisGetReply(c, &reply) != REDIS_OK)
		exit(0); /* a worker ends with its server */
	if (((redisReply *)reply)->type != type)
		figures_fail("not the reply that was expected");
	return reply;
}

static void write_out(redisContext *c)
{
	int done = 0;

	while (!done)
		if (redisBufferWrite(c, &done) != REDIS_OK)
			figures_fail("write: %s", c->errstr);
}

/* Take the integers that `count` pushes are answered with, and ask for as many new jobs. */
static void settle(redisContext *pushes, redisContext *pops, int count)
{
	for (; count; count--) {
		freeReplyObject(reply_of(pushes, REDIS_REPLY_INTEGER));
		redisAppendCommand(pops, "BRPOP jobs 0");
	}
}

static int worker(const char *where, int prefetch)
{
	redisContext *pops = connect_to(where), *pushes = connect_to(where);
	int unsettled = 0;

	for (int i = 0; i < prefetch; i++)
		redisAppendCommand(pops, "BRPOP jobs 0");
	write_out(pops);
	figures_worker_ready();
	for (;;) {
		void *job = NULL;

		if (redisGetReplyFromReader(pops, &job) != REDIS_OK)
			return 0;
		if (!job) { /* all that came has been worked on: hand it over */
			settle(pushes, pops, unsettled);
			unsettled = 0;
			job = reply_of(pops, REDIS_REPLY_ARRAY);
		}
		redisAppendCommand(pushes, "LPUSH results %b", ((redisReply *)job)->element[1]->str,
				   ((redisReply *)job)->element[1]->len);
		unsettled++;
		freeReplyObject(job);
	}
}

static void push(redisContext *pushes, redisContext *pops, int count)
{
	char payload[PAYLOAD_SIZE] = { 0 };
	int64_t now = figures_now();

	memcpy(payload, &now, sizeof(now));
	for (int i = 0; i < count; i++)
		redisAppendCommand(pushes, "LPUSH jobs %b", payload, sizeof(payload));
	for (int i = 0; i < count; i++) {
		freeReplyObject(reply_of(pushes, REDIS_REPLY_INTEGER));
		redisAppendCommand(pops, "BRPOP results 0");
	}
	write_out(pops);
}

static int client(const char *where, int jobs, int window)
{
	static struct figures f;
	redisContext *pushes = connect_to(where), *pops = connect_to(where);
	int at_once = window < PUSHES_AT_ONCE ? window : PUSHES_AT_ONCE;

	figures_start(&f);
	for (int sent = 0, done = 0; done < jobs; done++) {
		int room = window - (sent - done);
		redisReply *result;
		int64_t then;

		if (room > jobs - sent)
			room = jobs - sent;
		if (room >= at_once || (room > 0 && sent + room == jobs)) {
			push(pushes, pops, room);
			sent += room;
		}
		result = reply_of(pops, REDIS_REPLY_ARRAY);
		memcpy(&then, result->element[1]->str, sizeof(then));
		figures_add(&f, then);
		freeReplyObject(result);
	}
	figures_print(&f);
	return 0;
}

int main(int argc, char *argv[])
{
	if (argc == 4 && !strcmp(argv[1], "worker"))
		return worker(argv[2], atoi(argv[3]));
	if (argc == 5 && !strcmp(argv[1], "client"))
		return client(argv[2], atoi(argv[3]), atoi(argv[4]));
	return 2;
}
