/*
 * RabbitMQ: persistent jobs in a durable queue, accepted when the broker confirms them.
 *
 *	rabbitmq worker PORT
 *	rabbitmq client PORT JOBS WINDOW       through a worker and back
 *	rabbitmq producer PORT JOBS WINDOW     until they are confirmed, WINDOW at a time on one connection
 */
#include "figures.h"
#include <amqp.h>
#include <amqp_tcp_socket.h>
#include <stdbool.h>
#include <string.h>

#define PREFETCH 64
#define FRAME_MAX 131072
#define JOBS "jobs"
#define RESULTS "results"

static const amqp_basic_properties_t persistent = { ._flags = AMQP_BASIC_DELIVERY_MODE_FLAG,
						    .delivery_mode = 2 };

static amqp_connection_state_t connect_to(const char *port)
{
	amqp_connection_state_t c = amqp_new_connection();
	amqp_socket_t *socket = amqp_tcp_socket_new(c);

	if (!socket || amqp_socket_open(socket, "127.0.0.1", atoi(port)) != 0)
		figures_fail("port %s: can't connect", port);
	if (amqp_login(c, "/", 0, FRAME_MAX, 0, AMQP_SASL_METHOD_PLAIN, "guest", "guest").reply_type !=
	    AMQP_RESPONSE_NORMAL)
		figures_fail("RabbitMQ refuses the login");
	amqp_channel_open(c, 1);
	return c;
}

static void declare(amqp_connection_state_t c, const char *queue, bool durable)
{
	amqp_queue_declare(c, 1, amqp_cstring_bytes(queue), 0, durable, 0, 0, amqp_empty_table);
	if (amqp_get_rpc_reply(c).reply_type != AMQP_RESPONSE_NORMAL)
		figures_fail("queue %s can't be declared", queue);
}

static void publish(amqp_connection_state_t c, const char *queue, amqp_bytes_t body, bool durable)
{
	if (amqp_basic_publish(c, 1, amqp_empty_bytes, amqp_cstring_bytes(queue), 0, 0,
			       durable ? &persistent : NULL, body) < 0)
		figures_fail("publish to %s", queue);
}

static int worker(const char *port)
{
	amqp_connection_state_t c = connect_to(port);

	declare(c, JOBS, true);
	declare(c, RESULTS, true);
	amqp_basic_qos(c, 1, 0, PREFETCH, 0);
	amqp_basic_consume(c, 1, amqp_cstring_bytes(JOBS), amqp_empty_bytes, 0, 0, 0, amqp_empty_table);
	figures_worker_ready();
	for (;;) {
		amqp_envelope_t job;

		amqp_maybe_release_buffers(c);
		if (amqp_consume_message(c, &job, NULL, 0).reply_type != AMQP_RESPONSE_NORMAL)
			return 0;
		publish(c, RESULTS, job.message.body, true);
		amqp_basic_ack(c, 1, job.delivery_tag, 0);
		amqp_destroy_envelope(&job);
	}
}

static void publish_job(amqp_connection_state_t c)
{
	char payload[PAYLOAD_SIZE] = { 0 };
	int64_t now = figures_now();

	memcpy(payload, &now, sizeof(now));
	publish(c, JOBS, (amqp_bytes_t){ sizeof(payload), payload }, true);
}

static int client(const char *port, int jobs, int window)
{
	static struct figures f;
	amqp_connection_state_t puts_to = connect_to(port), takes_from = connect_to(port);

	declare(puts_to, JOBS, true);
	declare(takes_from, RESULTS, true);
	amqp_basic_consume(takes_from, 1, amqp_cstring_bytes(RESULTS), amqp_empty_bytes, 0, 1, 0,
			   amqp_empty_table);
	figures_start(&f);
	for (int sent = 0, done = 0; done < jobs; done++) {
		amqp_envelope_t result;
		int64_t then;

		for (; sent < jobs && sent - done < window; sent++)
			publish_job(puts_to);
		amqp_maybe_release_buffers(takes_from);
		if (amqp_consume_message(takes_from, &result, NULL, 0).reply_type != AMQP_RESPONSE_NORMAL)
			figures_fail("no result");
		memcpy(&then, result.message.body.bytes, sizeof(then));
		figures_add(&f, then);
		amqp_destroy_envelope(&result);
	}
	figures_print(&f);
	return 0;
}

/* How many jobs the next confirmation is for. */
static int confirmed(amqp_connection_state_t c, int done)
{
	amqp_frame_t frame;
	const amqp_basic_ack_t *ack;

	amqp_maybe_release_buffers(c);
	if (amqp_simple_wait_frame(c, &frame) != AMQP_STATUS_OK ||
	    frame.frame_type != AMQP_FRAME_METHOD || frame.payload.method.id != AMQP_BASIC_ACK_METHOD)
		figures_fail("not a confirmation");
	ack = frame.payload.method.decoded;
	return ack->multiple ? (int)ack->delivery_tag - done : 1;
}

static int producer(const char *port, int jobs, int window)
{
	static struct figures f;
	amqp_connection_state_t c = connect_to(port);
	int64_t *sent_at = calloc((size_t)jobs, sizeof(*sent_at));

	declare(c, JOBS, true);
	amqp_confirm_select(c, 1);
	figures_start(&f);
	for (int sent = 0, done = 0; done < jobs;) {
		for (; sent < jobs && sent - done < window; sent++) {
			sent_at[sent] = figures_now();
			publish_job(c);
		}
		for (int count = confirmed(c, done); count > 0; count--)
			figures_add(&f, sent_at[done++]);
	}
	figures_print(&f);
	return 0;
}

int main(int argc, char *argv[])
{
	if (argc == 3 && !strcmp(argv[1], "worker"))
		return worker(argv[2]);
	if (argc == 5 && !strcmp(argv[1], "client"))
		return client(argv[2], atoi(argv[3]), atoi(argv[4]));
	if (argc == 5 && !strcmp(argv[1], "producer"))
		return producer(argv[2], atoi(argv[3]), atoi(argv[4]));
	return 2;
}
