/*
 * dns_rig.c — questions in, answers out (RFC 1035).
 */
#include "dns_rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TYPE_A = 1, TYPE_AAAA = 28 };

struct record {
	const char *label;
	int code; /* of the answer; 0: there is one */
	unsigned ttl;
	const char *v4[4], *v6;
};

static const struct record records[] = {
	{ "v4", 0, 60, { "192.0.2.1" }, NULL },
	{ "both", 0, 60, { "192.0.2.1" }, "2001:db8::1" },
	{ "zero", 0, 0, { "192.0.2.1" }, NULL },
	{ "here", 0, 60, { "127.0.0.1" }, "::1" },
	{ "many", 0, 60, { "127.0.0.2", "127.0.0.3", "127.0.0.1" }, NULL },
	{ "nx", 3, 0, { NULL }, NULL },
	{ "servfail", 2, 0, { NULL }, NULL },
	{ "", 0, 60, { "192.0.2.1" }, NULL }, /* any */
};

static void on_question(struct io_watch *w, unsigned events);
static const struct record *record_of(const char *label);
static size_t put_address(uint8_t *at, const char *text, uint32_t ttl);

int dns_rig_open(struct loop *l, struct dns_rig *rig)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(sa);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	*rig = (struct dns_rig){ 0 };
	if (bind(fd, (struct sockaddr *)&sa, size) < 0 ||
	    getsockname(fd, (struct sockaddr *)&sa, &size) < 0)
		return -errno;
	snprintf(rig->address, sizeof(rig->address), "127.0.0.1:%u", ntohs(sa.sin_port));
	return io_watch_start(l, &rig->watch, fd, LOOP_READ, on_question, rig);
}

void dns_rig_close(struct dns_rig *rig)
{
	io_watch_stop(&rig->watch);
	close(rig->watch.fd);
}

static void on_question(struct io_watch *w, unsigned events GA_UNUSED)
{
	struct dns_rig *rig = w->arg;
	struct sockaddr_storage from;
	socklen_t from_size = sizeof(from);
	uint8_t m[1024];
	ssize_t n = recvfrom(w->fd, m, 512, 0, (struct sockaddr *)&from, &from_size);
	const char *label = (const char *)m + 13;
	const struct record *record = record_of(label);
	size_t size = 12;
	int type;

	if (n < 17)
		return;
	while (m[size])
		size += m[size] + 1u;
	type = m[size + 2];
	size += 5;
	rig->questions += type == TYPE_A;
	if (strncmp(label, "silent", 6) == 0)
		return;
	m[2] = 0x81;
	m[3] = (uint8_t)(0x80 | record->code);
	memset(m + 6, 0, 6);
	for (int i = 0; type == TYPE_A && i < 4 && record->v4[i]; i++, m[7]++)
		size += put_address(m + size, record->v4[i], record->ttl);
	if (type == TYPE_AAAA && record->v6) {
		size += put_address(m + size, record->v6, record->ttl);
		m[7] = 1;
	}
	(void)!sendto(w->fd, m, size, 0, (struct sockaddr *)&from, from_size);
}

static const struct record *record_of(const char *label)
{
	const struct record *r = records;

	while (strncmp(label, r->label, strlen(r->label)) != 0)
		r++;
	return r;
}

static size_t put_address(uint8_t *at, const char *text, uint32_t ttl)
{
	static const uint8_t name_and_class[] = { 0xc0, 0x0c, 0, 0, 0, 1 };
	bool v6 = strchr(text, ':') != NULL;
	uint32_t ttl_wire = htonl(ttl);

	memcpy(at, name_and_class, 6);
	at[3] = v6 ? TYPE_AAAA : TYPE_A;
	memcpy(at + 6, &ttl_wire, 4);
	at[10] = 0;
	at[11] = v6 ? 16 : 4;
	if (inet_pton(v6 ? AF_INET6 : AF_INET, text, at + 12) != 1)
		return 0;
	return 12 + (size_t)at[11];
}
