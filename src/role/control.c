#include "role.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

int control_send(int fd, const struct control_message *m)
{
	ssize_t n;

	do
		n = send(fd, m, sizeof(*m), MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return 0; /* a packet goes whole or not at all */
	if (errno == EAGAIN || errno == ENOBUFS)
		return -EAGAIN;
	return errno == ECONNRESET || errno == ENOTCONN ? -EPIPE : -errno;
}

int control_receive(int fd, struct control_message *ret_m)
{
	struct control_message m;
	ssize_t n;

	do
		n = recv(fd, &m, sizeof(m), MSG_DONTWAIT | MSG_TRUNC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ECONNRESET || errno == ENOTCONN ? -EPIPE : -errno;
	if (n == 0)
		return -EPIPE;
	if (n != sizeof(m))
		return -EPROTO;
	*ret_m = m;
	return 0;
}
