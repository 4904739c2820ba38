/*
 * A bare ZeroMQ echo, the least that a broker on ZeroMQ can cost:
 *
 *	zeromq broker FRONT BACK
 *	zeromq worker BACK
 *	zeromq client FRONT JOBS WINDOW PACK     PACK jobs to a message
 */
#include "figures.h"
#include <errno.h>
#include <string.h>
#include <zmq.h>

#define PACK_MAX 1024

static void *socket_of(int type)
{
	void *socket = zmq_socket(zmq_ctx_new(), type);
	int unlimited = 0;

	zmq_setsockopt(socket, ZMQ_SNDHWM, &unlimited, sizeof(unlimited));
	zmq_setsockopt(socket, ZMQ_RCVHWM, &unlimited, sizeof(unlimited));
	return socket;
}

/* Pass on up to `limit` messages with all their frames. */
static void forward(void *from, void *to, int limit)
{
	for (int i = 0; i < limit; i++) {
		int more = 0, wait = ZMQ_DONTWAIT;

		do {
			zmq_msg_t frame;

			zmq_msg_init(&frame);
			if (zmq_msg_recv(&frame, from, wait) < 0)
				return;
			wait = 0;
			more = zmq_msg_more(&frame);
			zmq_msg_send(&frame, to, more ? ZMQ_SNDMORE : 0);
		} while (more);
	}
}

static int broker(const char *front_address, const char *back_address)
{
	void *front = socket_of(ZMQ_ROUTER), *back = socket_of(ZMQ_DEALER);
	zmq_pollitem_t items[2] = { { .socket = front, .events = ZMQ_POLLIN },
				    { .socket = back, .events = ZMQ_POLLIN } };

	if (zmq_bind(front, front_address) || zmq_bind(back, back_address))
		figures_fail("bind: %s", zmq_strerror(errno));
	figures_worker_ready();
	for (;;) {
		if (zmq_poll(items, 2, -1) < 0)
			return 1;
		if (items[0].revents)
			forward(front, back, 128);
		if (items[1].revents)
			forward(back, front, 128);
	}
}

static int worker(const char *back_address)
{
	void *socket = socket_of(ZMQ_DEALER);

	zmq_connect(socket, back_address);
	figures_worker_ready();
	for (;;) {
		zmq_msg_t client, job, result;

		zmq_msg_init(&client);
		zmq_msg_init(&job);
		if (zmq_msg_recv(&client, socket, 0) < 0 || zmq_msg_recv(&job, socket, 0) < 0)
			return 1;
		zmq_msg_init_size(&result, zmq_msg_size(&job));
		memcpy(zmq_msg_data(&result), zmq_msg_data(&job), zmq_msg_size(&job));
		zmq_msg_send(&client, socket, ZMQ_SNDMORE);
		zmq_msg_send(&result, socket, 0);
		zmq_msg_close(&job);
	}
}

/* The number of jobs in the next message; 0: none is there and `flags` says not to wait. */
static int receive(void *socket, int flags, struct figures *f)
{
	static char message[PACK_MAX * PAYLOAD_SIZE];
	int size = zmq_recv(socket, message, sizeof(message), flags);
	int64_t sent;

	if (size < 0 && (flags & ZMQ_DONTWAIT))
		return 0;
	if (size < PAYLOAD_SIZE)
		figures_fail("receive: %s", zmq_strerror(errno));
	for (int at = 0; at < size; at += PAYLOAD_SIZE) {
		memcpy(&sent, message + at, sizeof(sent));
		figures_add(f, sent);
	}
	return size / PAYLOAD_SIZE;
}

static void send_pack(void *socket, int jobs)
{
	static char message[PACK_MAX * PAYLOAD_SIZE];
	int64_t now = figures_now();

	for (int i = 0; i < jobs; i++)
		memcpy(message + (size_t)i * PAYLOAD_SIZE, &now, sizeof(now));
	if (zmq_send(socket, message, (size_t)jobs * PAYLOAD_SIZE, 0) < 0)
		figures_fail("send: %s", zmq_strerror(errno));
}

static int client(const char *front_address, int jobs, int window, int pack)
{
	static struct figures f;
	void *socket = socket_of(ZMQ_DEALER);
	int sent = 0, done = 0;

	if (pack > window || pack > PACK_MAX)
		return 2;
	zmq_connect(socket, front_address);
	figures_start(&f);
	while (done < jobs) {
		int got;

		while (sent < jobs && sent - done + pack <= window) {
			int n = jobs - sent < pack ? jobs - sent : pack;

			send_pack(socket, n);
			sent += n;
		}
		done += receive(socket, 0, &f);
		while (sent - done > window / 2 && (got = receive(socket, ZMQ_DONTWAIT, &f)) > 0)
			done += got;
	}
	figures_print(&f);
	return 0;
}

int main(int argc, char *argv[])
{
	if (argc == 4 && !strcmp(argv[1], "broker"))
		return broker(argv[2], argv[3]);
	if (argc == 3 && !strcmp(argv[1], "worker"))
		return worker(argv[2]);
	if (argc == 6 && !strcmp(argv[1], "client"))
		return client(argv[2], atoi(argv[3]), atoi(argv[4]), atoi(argv[5]));
	return 2;
}
