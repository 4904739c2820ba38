#include "door.h"
#include "clock.h"
#include "front_http.h"
#include "front_lines.h"
#include "front_records.h"
#include "log.h"
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define SILENCE_MAX (60 * NSEC_PER_SEC)
#define ACCEPTS_A_TURN 64
#define PAUSE_AFTER_EMFILE (100 * NSEC_PER_MSEC)

struct listener {
	struct door *door;
	struct io_watch watch;
};

/* Somebody who is in, and hasn't said anything yet. */
struct newcomer {
	struct list mates;
	struct door *door;
	struct io_watch watch;
	struct loop_timer silence;
};

struct door {
	struct broker *broker;
	struct listener *listeners;
	unsigned count;
	bool shut;
	struct list newcomers;
	unsigned newcomer_count;
	struct loop_timer reopen;
};

static void on_connection(struct io_watch *w, unsigned events);
static void on_first_byte(struct io_watch *w, unsigned events);
static void on_silence(struct loop_timer *t);
static void on_reopen(struct loop_timer *t);
static void listen_again(struct door *d, unsigned events);
static void let_in(struct door *d, int fd);
static void newcomer_free(struct newcomer *n, bool close_fd);

int door_new(struct broker *b, const int *listeners, unsigned count, struct door **ret_door)
{
	struct door *d = calloc(1, sizeof(*d));

	if (d)
		d->listeners = calloc(count, sizeof(*d->listeners));
	if (!d || !d->listeners) {
		free(d);
		return -ENOMEM;
	}
	d->broker = b;
	d->count = count;
	list_init(&d->newcomers);
	loop_timer_init(&d->reopen, on_reopen, d);
	for (unsigned i = 0; i < count; i++) {
		struct listener *l = &d->listeners[i];
		int flags = fcntl(listeners[i], F_GETFL);

		l->door = d;
		if (flags < 0 || fcntl(listeners[i], F_SETFL, flags | O_NONBLOCK) < 0)
			return -errno;
		int r = io_watch_start(b->loop, &l->watch, listeners[i], LOOP_READ, on_connection, l);

		if (r < 0)
			return r;
	}
	*ret_door = d;
	return 0;
}

void door_shut(struct door *d)
{
	d->shut = true;
	loop_timer_stop(d->broker->loop, &d->reopen);
	for (unsigned i = 0; i < d->count; i++)
		io_watch_stop(&d->listeners[i].watch);
	LIST_FOREACH(node, &d->newcomers)
		newcomer_free(LIST_ENTRY(node, struct newcomer, mates), true);
}

void door_free(struct door *d)
{
	if (!d)
		return;
	if (!d->shut)
		door_shut(d);
	free(d->listeners);
	free(d);
}

static void on_connection(struct io_watch *w, unsigned events GA_UNUSED)
{
	struct listener *l = w->arg;
	struct door *d = l->door;

	for (int i = 0; i < ACCEPTS_A_TURN; i++) {
		int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			let_in(d, fd);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) {
			/* Those who wait stay in the backlog until descriptors are free again. */
			log_warning("can't accept clients: %s; trying again in 100 ms",
				    strerror(errno));
			listen_again(d, 0);
			if (loop_timer_set(d->broker->loop, &d->reopen,
					   loop_now(d->broker->loop) + PAUSE_AFTER_EMFILE) < 0)
				listen_again(d, LOOP_READ);
		}
		return;
	}
}

static void listen_again(struct door *d, unsigned events)
{
	for (unsigned i = 0; i < d->count; i++) {
		if (io_watch_change(&d->listeners[i].watch, events) < 0)
			log_error("can't change how the socket is watched");
	}
}

static void on_reopen(struct loop_timer *t)
{
	listen_again(t->arg, LOOP_READ);
}

/* Who comes when the house is full is told so in the one language that everybody can read. */
/* Whatever it speaks, a person can read it. */
static void say_and_close(int fd, const char *status, const char *headers, const char *problem)
{
	char full[512];
	int size = snprintf(full, sizeof(full),
			    "HTTP/1.1 %s\r\n"
			    "Content-Type: application/problem+json\r\n"
			    "%sConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
			    status, headers, strlen(problem), problem);

	if (send(fd, full, (size_t)size, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		log_debug("a client that was turned away did not wait to hear why");
	close(fd);
}

static void turn_away(int fd)
{
	say_and_close(fd, "503 Service Unavailable", "Retry-After: 1\r\n",
		      "{\"status\":503,\"code\":\"too_many_connections\","
		      "\"detail\":\"as many clients as may be (max_connections) are connected now\"}\n");
}

/* A list of jobs in lines, say, or a byte order mark: the HTTP front would hang up without a word. */
static void turn_away_stranger(int fd)
{
	say_and_close(
		fd, "400 Bad Request", "",
		"{\"status\":400,\"code\":\"unknown_protocol\","
		"\"detail\":\"the first byte is { of a JSON object on a line, or of an HTTP method\"}\n");
}

static int meet(struct door *d, int fd)
{
	struct newcomer *n = calloc(1, sizeof(*n));
	struct loop *l = d->broker->loop;

	if (!n)
		return -ENOMEM;
	n->door = d;
	list_push_back(&d->newcomers, &n->mates);
	d->newcomer_count++;
	loop_timer_init(&n->silence, on_silence, n);
	int r = io_watch_start(l, &n->watch, fd, LOOP_READ, on_first_byte, n);

	if (r == 0)
		r = loop_timer_set(l, &n->silence, time_add(loop_now(l), SILENCE_MAX));
	if (r < 0)
		newcomer_free(n, false);
	return r;
}

static void let_in(struct door *d, int fd)
{
	struct broker *b = d->broker;

	if (d->newcomer_count + b->connections.count + http_front_connections(b->http) >=
		    b->max_connections ||
	    meet(d, fd) < 0)
		turn_away(fd);
}

static void newcomer_free(struct newcomer *n, bool close_fd)
{
	struct door *d = n->door;

	io_watch_stop(&n->watch);
	loop_timer_stop(d->broker->loop, &n->silence);
	if (close_fd)
		close(n->watch.fd);
	list_remove(&n->mates);
	d->newcomer_count--;
	free(n);
}

static void on_silence(struct loop_timer *t)
{
	newcomer_free(t->arg, true);
}

static void on_first_byte(struct io_watch *w, unsigned events GA_UNUSED)
{
	struct newcomer *n = w->arg;
	struct broker *b = n->door->broker;
	int fd = w->fd;
	unsigned char first;
	ssize_t size = recv(fd, &first, 1, MSG_PEEK | MSG_DONTWAIT);

	if (size < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	newcomer_free(n, size <= 0);
	if (size <= 0)
		return;
	int r = 0;

	if (first == RECORD_MAGIC)
		r = records_open(b, fd);
	else if (first == '{')
		r = lines_open(b, fd);
	else if (isalpha(first) || first == '\r' || first == '\n')
		http_front_add(b->http, fd);
	else
		turn_away_stranger(fd);
	if (r < 0)
		turn_away(fd);
}
