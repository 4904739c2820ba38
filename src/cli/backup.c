/*
 * A backup is longer than any record: this asks over HTTP, on the same socket, and writes what comes to the file. So the
 * copy belongs to who asked, and nobody else needs to be allowed where the daemon keeps its own.
 */
#include "output.h"
#include "session.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define HEAD_MAX 8192
#define BODY_MAX 65536 /* of an answer that says no */

struct download {
	int fd;
	char buffer[65536];
	size_t size; /* in the buffer */
	unsigned status;
	uint64_t length; /* of the body */
};

static int dial(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	int error = -errno;

	close(fd);
	return error;
}

/* More into the buffer: its size, 0 at the end, or -errno. */
static ssize_t receive(struct download *d)
{
	ssize_t n = recv(d->fd, d->buffer + d->size, sizeof(d->buffer) - d->size, 0);

	if (n < 0)
		return -errno;
	d->size += (size_t)n;
	return n;
}

/* Up to the empty line; what is behind it stays in the buffer. */
static int read_head(struct download *d)
{
	char *end, *length;
	size_t head;

	while (!(end = memmem(d->buffer, d->size, "\r\n\r\n", 4))) {
		ssize_t n = d->size < HEAD_MAX ? receive(d) : -EPROTO;

		if (n <= 0)
			return n < 0 ? (int)n : -EPIPE;
	}
	head = (size_t)(end - d->buffer) + 4;
	end[2] = '\0';
	length = strcasestr(d->buffer, "\r\nContent-Length:");
	if (sscanf(d->buffer, "HTTP/1.1 %3u ", &d->status) != 1 || !length)
		return -EPROTO;
	d->length = strtoull(length + strlen("\r\nContent-Length:"), NULL, 10);
	memmove(d->buffer, d->buffer + head, d->size - head);
	d->size -= head;
	return 0;
}

static int ask_for_it(struct download *d, const char *socket_path)
{
	static const char request[] =
		"GET /v1/backup HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

	d->fd = dial(socket_path);
	if (d->fd < 0)
		return d->fd;
	if (send(d->fd, request, sizeof(request) - 1, MSG_NOSIGNAL) != (ssize_t)sizeof(request) - 1)
		return -errno;
	return read_head(d);
}

static int say_no(struct download *d)
{
	struct ga_response response = { .status = d->status };

	while (d->size < d->length && d->size < BODY_MAX && receive(d) > 0)
		;
	response.body = (struct ga_bytes){ d->buffer, d->size };
	return say_problem(NULL, &response);
}

static int copy(struct download *d, int to, const char *name)
{
	for (uint64_t left = d->length;;) {
		size_t take = d->size < left ? d->size : (size_t)left;
		ssize_t n;

		if (!write_all(to, d->buffer, take)) {
			say("%s: %s", name, strerror(errno));
			return STATUS_FAILED;
		}
		left -= take;
		d->size = 0;
		if (left == 0)
			return STATUS_OK;
		n = receive(d);
		if (interrupted())
			return interrupted_status();
		if (n == 0 || (n < 0 && n != -EINTR)) {
			say("gatherd stopped in the middle of the copy");
			return STATUS_UNREACHABLE;
		}
	}
}

static int save(struct context *x, struct download *d, const char *name)
{
	int to = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), status;

	if (to < 0) {
		say(errno == EEXIST ? "%s is there already: nothing is overwritten" : "%s: %m", name);
		return STATUS_FAILED;
	}
	status = copy(d, to, name);
	if (status == STATUS_OK && fsync(to) < 0) {
		say("%s: %s", name, strerror(errno));
		status = STATUS_FAILED;
	}
	close(to);
	if (status != STATUS_OK)
		unlink(name);
	else if (!x->quiet)
		say("%s: %llu bytes", name, (unsigned long long)d->length);
	return status;
}

static int run(struct context *x)
{
	struct download *d;
	int result, status;

	if (x->command.operands.count != 1)
		return usage(x, "it takes the file to write, or - for standard output");
	d = calloc(1, sizeof(*d));
	if (!d)
		return STATUS_FAILED;
	result = ask_for_it(d, session_socket(x));
	if (result < 0)
		status = d->fd < 0 ? session_unreachable(x, result) : session_failed(x, result);
	else if (d->status != 200)
		status = say_no(d);
	else if (strcmp(x->command.operands.item[0], "-") == 0)
		status = copy(d, STDOUT_FILENO, "standard output");
	else
		status = save(x, d, x->command.operands.item[0]);
	if (d->fd >= 0)
		close(d->fd);
	free(d);
	return status;
}

const struct verb verb_backup = {
	.name = "backup",
	.operands = "FILE | -",
	.summary = "copy the daemon's store into a file",
	.details = "The copy is consistent, and made while jobs run on. `sqlite3 FILE` reads it; gatherd goes on\n"
		   "from it when it is put in the place of its own (gatherd(8)).\n",
	.examples = "  gather backup jobs-$(date +%F).db\n"
		    "  ssh host gather backup - > host.db\n",
	.not_local = "a private daemon keeps nothing",
	.run = run,
};
