/*
 * PostgreSQL as a job queue, the way the queues built on it work: a table, claims that skip what is locked, all in batches.
 *
 *	postgres worker CONNINFO
 *	postgres client CONNINFO JOBS WINDOW
 *	postgres producers CONNINFO JOBS PRODUCERS    single inserts, each on a connection of its own
 */
#include "figures.h"
#include <libpq-fe.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>

#define BATCH 64
#define BODY "0123456789012345678901234567890123456789012345678901234567890123"
#define INSERT "INSERT INTO jobs (sent, body) SELECT $1, '" BODY "' FROM generate_series(1, $2)"
#define CLAIM                                                                                      \
	"UPDATE jobs SET state = 1 WHERE id IN (SELECT id FROM jobs WHERE state = 0 ORDER BY id "  \
	"LIMIT 64 FOR UPDATE SKIP LOCKED) RETURNING id, sent"

static PGconn *connect_to(const char *conninfo)
{
	PGconn *c = PQconnectdb(conninfo);

	if (PQstatus(c) != CONNECTION_OK)
		figures_fail("%s", PQerrorMessage(c));
	return c;
}

static PGresult *done(PGconn *c, PGresult *r)
{
	ExecStatusType status = PQresultStatus(r);

	if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
		figures_fail("%s", PQerrorMessage(c));
	return r;
}

static void say(PGconn *c, const char *sql)
{
	PQclear(done(c, PQexec(c, sql)));
}

static void wait_for_news(PGconn *c)
{
	struct pollfd poll_fd = { .fd = PQsocket(c), .events = POLLIN };

	poll(&poll_fd, 1, -1);
	if (!PQconsumeInput(c))
		exit(0); /* a worker ends with its server */
}

/* Mark them done and tell who waits, with the times at which they were sent: one transaction. */
static void finish(PGconn *c, const PGresult *jobs)
{
	char ids[BATCH * 24] = "{", sent[BATCH * 24] = "";
	const char *values[2] = { ids, sent };
	size_t id_size = 1, sent_size = 0;

	for (int i = 0; i < PQntuples(jobs); i++) {
		id_size += (size_t)sprintf(ids + id_size, "%s%s", i ? "," : "", PQgetvalue(jobs, i, 0));
		sent_size += (size_t)sprintf(sent + sent_size, "%s ", PQgetvalue(jobs, i, 1));
	}
	strcpy(ids + id_size, "}");
	PQclear(done(c, PQexecParams(c,
				     "WITH done AS (UPDATE jobs SET state = 2 WHERE id = ANY($1::bigint[])) "
				     "SELECT pg_notify('results', $2)",
				     2, NULL, values, NULL, NULL, 0)));
}

static void worker(const char *conninfo)
{
	PGconn *c = connect_to(conninfo);
	PGnotify *news;

	say(c, "LISTEN jobs");
	figures_worker_ready();
	for (;;) {
		PGresult *jobs = done(c, PQexec(c, CLAIM));

		if (PQntuples(jobs) > 0)
			finish(c, jobs);
		else
			wait_for_news(c);
		PQclear(jobs);
		while ((news = PQnotifies(c)))
			PQfreemem(news);
	}
}

static void insert(PGconn *c, int count)
{
	char now[32], number[16];
	const char *values[2] = { now, number };

	sprintf(now, "%lld", (long long)figures_now());
	sprintf(number, "%d", count);
	say(c, "BEGIN");
	PQclear(done(c, PQexecParams(c, INSERT, 2, NULL, values, NULL, NULL, 0)));
	say(c, "NOTIFY jobs");
	say(c, "COMMIT");
}

static int take_results(PGconn *c, struct figures *f)
{
	PGnotify *news = PQnotifies(c);
	int count = 0;

	if (!news) {
		wait_for_news(c);
		return 0;
	}
	for (char *at = news->extra, *end; *at; at = end + 1, count++)
		figures_add(f, strtoll(at, &end, 10));
	PQfreemem(news);
	return count;
}

static int client(const char *conninfo, int jobs, int window)
{
	static struct figures f;
	PGconn *puts_to = connect_to(conninfo), *takes_from = connect_to(conninfo);
	int at_once = window < BATCH ? window : BATCH;

	say(takes_from, "LISTEN results");
	figures_start(&f);
	for (int sent = 0, taken = 0; taken < jobs;) {
		int room = window - (sent - taken);

		if (room > jobs - sent)
			room = jobs - sent;
		if (room >= at_once || (room > 0 && sent + room == jobs)) {
			insert(puts_to, room);
			sent += room;
		}
		taken += take_results(takes_from, &f);
	}
	figures_print(&f);
	return 0;
}

struct producer {
	PGconn *connection;
	int64_t sent;
};

static void produce(struct producer *p)
{
	p->sent = figures_now();
	if (!PQsendQueryPrepared(p->connection, "job", 0, NULL, NULL, NULL, 0) ||
	    PQflush(p->connection) < 0)
		figures_fail("%s", PQerrorMessage(p->connection));
}

static int producers(const char *conninfo, long count, int number)
{
	static struct figures f;
	struct producer *all = calloc((size_t)number, sizeof(*all));
	struct epoll_event events[256];
	int poll = epoll_create1(EPOLL_CLOEXEC);
	long begun = 0;

	for (int i = 0; i < number; i++) {
		struct epoll_event event = { .events = EPOLLIN, .data.ptr = &all[i] };

		all[i].connection = connect_to(conninfo);
		PQclear(done(all[i].connection,
			     PQprepare(all[i].connection, "job",
				       "INSERT INTO jobs (sent, body) VALUES (0, '" BODY "')", 0,
				       NULL)));
		epoll_ctl(poll, EPOLL_CTL_ADD, PQsocket(all[i].connection), &event);
	}
	figures_start(&f);
	for (; begun < number && begun < count; begun++)
		produce(&all[begun]);
	while ((long)f.count < count) {
		int ready = epoll_wait(poll, events, 256, -1);

		for (int i = 0; i < ready; i++) {
			struct producer *p = events[i].data.ptr;
			PGresult *r;

			if (!PQconsumeInput(p->connection))
				figures_fail("%s", PQerrorMessage(p->connection));
			if (PQisBusy(p->connection))
				continue;
			while ((r = PQgetResult(p->connection)))
				PQclear(done(p->connection, r));
			figures_add(&f, p->sent);
			if (begun++ < count)
				produce(p);
		}
	}
	figures_print(&f);
	return 0;
}

int main(int argc, char *argv[])
{
	if (argc == 3 && !strcmp(argv[1], "worker"))
		worker(argv[2]);
	if (argc == 5 && !strcmp(argv[1], "client"))
		return client(argv[2], atoi(argv[3]), atoi(argv[4]));
	if (argc == 5 && !strcmp(argv[1], "producers"))
		return producers(argv[2], atol(argv[3]), atoi(argv[4]));
	return 2;
}
