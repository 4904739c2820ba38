/* TLS for streams, and getaddrinfo. */
#include "conform.h"
#include "tls_rig.h"
#include <gather/tls.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SOON (ga_now() + GA_SECONDS(20))

static void certificates_gone(void)
{
	(void)tls_rig_close(NULL);
}

/* A server's end and a client's, both plain, and what each needs for TLS. */
struct pair {
	ga_stream *server, *client;
	ga_tls *shows, *trusts;
};

static int pair_open(struct pair *p, const char *certificate)
{
	static bool made;
	int fds[2];

	if (!made) {
		HOLDS(tls_rig_open(NULL) == 0 && atexit(certificates_gone) == 0);
		made = true;
	}
	HOLDS(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
	HOLDS(ga_stream_new(fds[0], &p->server) == 0 && ga_stream_new(fds[1], &p->client) == 0);
	HOLDS(ga_tls_server_new(&(struct ga_tls_options){ .certificate_file = tls_rig_path(certificate) },
				NULL, 0, &p->shows) == 0);
	HOLDS(ga_tls_client_new(&(struct ga_tls_options){ .ca_file = tls_rig_path("ca.pem") }, NULL,
				0, &p->trusts) == 0);
	return 0;
}

static void pair_close(struct pair *p)
{
	ga_stream_close(p->server);
	ga_stream_close(p->client);
	ga_tls_free(p->shows);
	ga_tls_free(p->trusts);
}

static int serve_handshake(const void *arg)
{
	const struct pair *p = arg;

	return ga_stream_start_tls(p->server, p->shows, NULL, SOON);
}

/* Shake hands, the client expecting `host`: what the client's end says. */
static int shake(struct pair *p, const char *host)
{
	ga_future *server = ga_spawn(serve_handshake, p);
	int r = ga_stream_start_tls(p->client, p->trusts, host, SOON);
	int other = ga_await(server);

	ga_release(server);
	HOLDS((r == 0) == (other == 0));
	return r;
}

CASE_REAL(tls_both_ways, "asyncio-stream#asyncio.StreamWriter.start_tls",
	  "start_tls: a plain stream goes on as a TLS one, both ways, with its ends")
{
	struct pair p;
	char data[8], *line;

	HOLDS(pair_open(&p, "server.pem") == 0);
	HOLDS(ga_stream_write(p.client, "starttls\n", 9, SOON) == 0);
	HOLDS(ga_stream_read_until(p.server, "\n", 20, SOON, &line) == 9);
	HOLDS(shake(&p, "localhost") == 0);
	HOLDS(ga_stream_write(p.client, "ping", 4, SOON) == 0 && ga_stream_shutdown(p.client) == 0);
	HOLDS(ga_stream_read_exactly(p.server, data, 4, SOON) == 0 && !memcmp(data, "ping", 4));
	HOLDS(ga_stream_read(p.server, data, 4, SOON) == 0);
	HOLDS(ga_stream_write(p.server, "pong", 4, SOON) == 0);
	HOLDS(ga_stream_read_exactly(p.client, data, 4, SOON) == 0 && !memcmp(data, "pong", 4));
	pair_close(&p);
	return 0;
}

static int refused(const char *certificate, const char *host, const char *why)
{
	struct pair p;
	ga_future *server;
	int r;

	HOLDS(pair_open(&p, certificate) == 0);
	server = ga_spawn(serve_handshake, &p);
	r = ga_stream_start_tls(p.client, p.trusts, host, SOON);
	HOLDS(r == -EKEYREJECTED && strstr(ga_tls_error(), why));
	(void)ga_await(server);
	ga_release(server);
	pair_close(&p);
	return 0;
}

CASE_REAL(tls_checked, "asyncio-stream#asyncio.open_connection",
	  "open_connection: by TLS, the certificate must be trusted, in time, and for the host")
{
	HOLDS(refused("other.pem", "localhost", "is not for localhost") == 0);
	HOLDS(refused("expired.pem", "localhost", "has expired") == 0);
	HOLDS(refused("self.pem", "localhost", "not trusted") == 0);
	return 0;
}

CASE_REAL(tls_ahead, "libgather",
	  "start_tls: what was sent ahead of it, and may be anybody's, is refused")
{
	struct pair p;
	char *line;

	HOLDS(pair_open(&p, "server.pem") == 0);
	HOLDS(ga_stream_write(p.server, "go on\nEVIL", 10, SOON) == 0);
	HOLDS(ga_stream_read_until(p.client, "\n", 20, SOON, &line) == 6);
	HOLDS(ga_stream_start_tls(p.client, p.trusts, "localhost", SOON) == -EPROTO);
	pair_close(&p);
	return 0;
}

CASE_REAL(tls_late, "asyncio-eventloop#asyncio.loop.create_connection",
	  "start_tls: a handshake ends at its deadline (ssl_handshake_timeout)")
{
	struct pair p;

	HOLDS(pair_open(&p, "server.pem") == 0);
	HOLDS(ga_stream_start_tls(p.client, p.trusts, "localhost", ga_now() + GA_MILLISECONDS(5)) ==
	      -ETIMEDOUT);
	pair_close(&p);
	return 0;
}

CASE_REAL(tls_cut, "libgather", "read: by TLS, an end without close_notify is -ECONNRESET and no end")
{
	struct pair p;
	char data[8];

	HOLDS(pair_open(&p, "server.pem") == 0);
	HOLDS(shake(&p, "localhost") == 0);
	HOLDS(ga_stream_write(p.server, "part", 4, SOON) == 0);
	HOLDS(shutdown(ga_stream_fd(p.server), SHUT_RDWR) == 0);
	HOLDS(ga_stream_read(p.client, data, 8, SOON) == 4);
	HOLDS(ga_stream_read(p.client, data, 8, SOON) == -ECONNRESET);
	pair_close(&p);
	return 0;
}

static int greet(ga_stream *s, const void *arg GA_UNUSED)
{
	return ga_stream_write(s, "hello", 5, SOON);
}

struct serving {
	ga_server *server;
	ga_tls *tls;
};

static int serve(const void *arg)
{
	const struct serving *s = arg;

	return ga_serve(s->server, greet, &(struct ga_serve_options){ .tls = s->tls });
}

CASE_REAL(tls_served, "asyncio-stream#asyncio.start_server",
	  "start_server: by TLS, who fails to shake hands is dropped, and the others are served")
{
	struct serving serving;
	struct pair p;
	ga_future *task;
	ga_stream *s;
	char data[8];

	HOLDS(pair_open(&p, "server.pem") == 0);
	serving.tls = p.shows;
	HOLDS(ga_listen_tcp(NULL, 0, &serving.server) == 0);
	task = ga_spawn(serve, &serving);
	HOLDS(ga_connect_tcp("127.0.0.1", ga_server_port(serving.server), SOON, &s) == 0);
	HOLDS(ga_stream_write(s, "GET / HTTP/1.1\r\n\r\n", 18, SOON) == 0);
	HOLDS(ga_stream_read(s, data, 8, SOON) != -ETIMEDOUT); /* an alert, or the end */
	ga_stream_close(s);
	HOLDS(ga_connect_tls("127.0.0.1", ga_server_port(serving.server), p.trusts, SOON, &s) == 0);
	HOLDS(ga_stream_read_exactly(s, data, 5, SOON) == 0 && !memcmp(data, "hello", 5));
	HOLDS(ga_stream_read(s, data, 5, SOON) == 0);
	ga_stream_close(s);
	ga_cancel(task);
	HOLDS(ga_await(task) == -ECANCELED);
	ga_release(task);
	ga_server_close(serving.server);
	pair_close(&p);
	return 0;
}

CASE_REAL(addresses, "asyncio-eventloop#asyncio.loop.getaddrinfo",
	  "getaddrinfo: gives the addresses of a name, and an address as it is")
{
	struct ga_address *a;

	HOLDS(ga_lookup("192.0.2.7", 53, SOON, &a) == 1);
	HOLDS(strcmp(a->text, "192.0.2.7") == 0 && a->port == 53 && !a->ipv6);
	free(a);
	HOLDS(ga_lookup("::1", 53, SOON, &a) == 1 && a->ipv6);
	free(a);
	HOLDS(ga_lookup("localhost", 80, SOON, &a) >= 1);
	HOLDS(strcmp(a->text, a->ipv6 ? "::1" : "127.0.0.1") == 0);
	free(a);
	return 0;
}

CASE_REAL(no_address, "asyncio-eventloop#asyncio.loop.getaddrinfo",
	  "getaddrinfo: what is no host name is an error, with its reason")
{
	struct ga_address *a;

	HOLDS(ga_lookup("no such name", 80, SOON, &a) == -EINVAL);
	HOLDS(strstr(ga_lookup_error(), "no such name"));
	return 0;
}
