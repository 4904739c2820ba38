/*
 * beanstalkd: jobs in one tube, results, for which it has no other way, in a second one.
 *
 *	beanstalkd worker WHERE PREFETCH     PREFETCH reserves pipelined
 *	beanstalkd client WHERE JOBS WINDOW
 */
#include "connection.h"
#include <stdbool.h>

#define PUTS_AT_ONCE 64
#define PREFETCH_MAX 64
#define PUT_SIZE (PAYLOAD_SIZE + 64)

struct reserved {
	unsigned long id;
	unsigned size;
	const char *body;
};

static void say(struct connection *c, const char *text)
{
	connection_write(c, text, strlen(text));
}

static void expect(struct connection *c, const char *answer)
{
	const char *line = connection_line(c);

	if (strncmp(line, answer, strlen(answer)) != 0)
		figures_fail("beanstalkd says %s instead of %s", line, answer);
}

static size_t format_put(char *out, const char *body, unsigned size)
{
	size_t n = (size_t)sprintf(out, "put 0 0 60 %u\r\n", size);

	memcpy(out + n, body, size);
	memcpy(out + n + size, "\r\n", 2);
	return n + size + 2;
}

/* The next reserved job, if all of it is here; the answers to put and delete that come before it are taken along. Its
 * body is valid until the next read. */
static bool reserved_here(struct connection *c, struct reserved *ret_job)
{
	for (;;) {
		size_t start = c->taken, body;
		const char *line = connection_line_here(c);

		if (!line)
			return false;
		if (!strncmp(line, "NOT_FOUND", 9) || !strncmp(line, "BAD", 3))
			figures_fail("beanstalkd says %s", line);
		if (sscanf(line, "RESERVED %lu %u", &ret_job->id, &ret_job->size) != 2)
			continue;
		body = c->taken;
		if (body + ret_job->size + 2 > c->filled) {
			c->buffer[body - 1] = '\n';
			c->taken = start;
			return false;
		}
		ret_job->body = c->buffer + body;
		c->taken = body + ret_job->size + 2;
		return true;
	}
}

/* What leaves together on one connection. */
struct outbox {
	struct connection *to;
	size_t size;
	char data[(PREFETCH_MAX + 1) * (PUT_SIZE + 64)];
};

static void send_outbox(struct outbox *out)
{
	connection_write(out->to, out->data, out->size);
	out->size = 0;
}

/* Hand over the results of the jobs that are here, and ask for as many. Returns how many. */
static int work(struct connection *takes, struct outbox *results, struct outbox *asks)
{
	struct reserved job;
	int count = 0;

	for (; reserved_here(takes, &job); count++) {
		if (job.size > PAYLOAD_SIZE)
			figures_fail("a job of %u bytes", job.size);
		results->size += format_put(results->data + results->size, job.body, job.size);
		asks->size += (size_t)sprintf(asks->data + asks->size, "delete %lu\r\nreserve\r\n",
					      job.id);
	}
	return count;
}

/*
 * A command waits behind a reserve that waits for a job. So with several of those ahead, results go by a connection of
 * their own; with one, all goes in one write.
 */
static int worker(const char *where, int prefetch)
{
	static struct connection takes, puts_to;
	static struct outbox on_puts = { .to = &puts_to }, on_takes = { .to = &takes };
	bool ahead = prefetch > 1;

	if (prefetch > PREFETCH_MAX)
		return 2;
	connection_open(&takes, where);
	connection_open(&puts_to, where);
	say(&takes, "watch jobs\r\nignore default\r\nuse results\r\n");
	say(&puts_to, "use results\r\n");
	for (int i = 0; i < 3; i++)
		connection_line(&takes);
	expect(&puts_to, "USING");
	for (int i = 0; i < prefetch; i++)
		say(&takes, "reserve\r\n");
	figures_worker_ready();
	for (;;) {
		int count = work(&takes, ahead ? &on_puts : &on_takes, &on_takes);

		if (ahead) {
			send_outbox(&on_puts);
			for (; count; count--)
				expect(&puts_to, "INSERTED");
		}
		send_outbox(&on_takes);
		connection_read(&takes);
	}
}

static void put(struct connection *c, int count)
{
	static char out[1024 * PUT_SIZE];
	char body[PAYLOAD_SIZE] = { 0 };
	int64_t now = figures_now();
	size_t n = 0;

	memcpy(body, &now, sizeof(now));
	for (int i = 0; i < count; i++)
		n += format_put(out + n, body, sizeof(body));
	connection_write(c, out, n);
	for (int i = 0; i < count; i++)
		expect(c, "INSERTED");
}

static void take_result(struct connection *c, struct figures *f, int more)
{
	struct reserved job;
	char out[64];
	int64_t then;
	int n;

	while (!reserved_here(c, &job))
		connection_read(c);
	memcpy(&then, job.body, sizeof(then));
	figures_add(f, then);
	n = sprintf(out, "delete %lu\r\n%s", job.id, more ? "reserve\r\n" : "");
	connection_write(c, out, (size_t)n);
}

static int client(const char *where, int jobs, int window)
{
	static struct connection puts_to, takes_from;
	static struct figures f;
	int at_once = window < PUTS_AT_ONCE ? window : PUTS_AT_ONCE;

	if (window > 1024)
		return 2;
	connection_open(&puts_to, where);
	connection_open(&takes_from, where);
	say(&puts_to, "use jobs\r\n");
	expect(&puts_to, "USING");
	say(&takes_from, "watch results\r\nignore default\r\n");
	expect(&takes_from, "WATCHING");
	expect(&takes_from, "WATCHING");
	figures_start(&f);
	say(&takes_from, "reserve\r\n");
	for (int sent = 0, done = 0; done < jobs; done++) {
		int room = window - (sent - done);

		if (room > jobs - sent)
			room = jobs - sent;
		if (room >= at_once || (room > 0 && sent + room == jobs)) {
			put(&puts_to, room);
			sent += room;
		}
		take_result(&takes_from, &f, done + 1 < jobs);
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
