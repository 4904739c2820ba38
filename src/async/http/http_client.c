/*
 * http_client.c — libcurl's multi handle on the loop.
 */
#include "http_client.h"
#include "clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define DEFAULT_CONNECTIONS 2048u
#define DEFAULT_USER_AGENT "libgather"

static pthread_once_t library_once = PTHREAD_ONCE_INIT;
static _Thread_local ga_http_client *this_default;

static void library_init(void);
static int client_set_up(ga_http_client *c, const struct ga_http_client_options *options,
			 char *error, size_t error_size);
static int client_starve(ga_http_client *c);
static void client_fail_running(ga_http_client *c);
static void client_collect(ga_http_client *c);
static void client_close(ga_http_client *c);
static void client_closed_with_loop(struct kept *k);
static void client_destroy(ga_http_client *c);
static void client_work(struct loop_call *call);
static void on_timer(struct loop_timer *t);
static int on_timer_change(CURLM *multi, long ms, void *arg);
static int on_socket_change(CURL *easy, curl_socket_t fd, int what, void *arg, void *unused);
static struct http_socket *socket_at(ga_http_client *c, curl_socket_t fd);
static void on_socket(struct io_watch *w, unsigned events);
static void socket_stop(struct http_socket *s);

int ga_http_client_new(const struct ga_http_client_options *options, char *error, size_t error_size,
		       ga_http_client **ret_client)
{
	static const struct ga_http_client_options none = { 0 };
	ga_http_client *c;
	char ignored[1];
	int r;

	if (!error) {
		error = ignored;
		error_size = sizeof(ignored);
	}
	snprintf(error, error_size, "%s", "");
	if (!loop_current())
		return -EPERM;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->refs = 1;
	c->loop = loop_current();
	list_init(&c->requests);
	list_init(&c->queue);
	list_init(&c->stopping);
	list_init(&c->spare_transfers);
	http_hosts_init(&c->hosts);
	loop_timer_init(&c->timer, on_timer, c);
	loop_call_init(&c->work, client_work, c);
	r = client_set_up(c, options ? options : &none, error, error_size);
	if (r >= 0)
		r = keeper_add(&c->kept, client_closed_with_loop);
	if (r < 0) {
		client_destroy(c);
		return r;
	}
	*ret_client = c;
	return 0;
}

static char *copy_or(const char *text, const char *otherwise)
{
	return strdup(text ? text : otherwise);
}

static unsigned connections_by_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur / 2 >= DEFAULT_CONNECTIONS)
		return DEFAULT_CONNECTIONS;
	return limit.rlim_cur < 4 ? 1 : (unsigned)(limit.rlim_cur / 2);
}

static int client_set_up(ga_http_client *c, const struct ga_http_client_options *options,
			 char *error, size_t error_size)
{
	int r = address_policy_new(options->allow, error, error_size, &c->policy);

	if (r < 0)
		return r;
	c->max_active = options->max_connections ? options->max_connections : connections_by_limit();
	c->user_agent = copy_or(options->user_agent, DEFAULT_USER_AGENT);
	c->dns = dns_shared();
	if (options->ca_file)
		c->ca_file = strdup(options->ca_file);
	return c->user_agent && c->dns && (!options->ca_file || c->ca_file) ? 0 : -ENOMEM;
}

void ga_http_client_free(ga_http_client *client)
{
	if (client)
		client_unref(client);
}

/* Closing connections may want a deep stack, so the loop does it. */
void client_unref(ga_http_client *c)
{
	if (--c->refs > 0)
		return;
	if (c->closed)
		client_destroy(c);
	else
		loop_call_soon(c->loop, &c->work);
}

ga_http_client *client_default(void)
{
	static const struct ga_http_client_options open = { .allow = "*" };

	if (!this_default && ga_http_client_new(&open, NULL, 0, &this_default) < 0)
		this_default = NULL;
	return this_default;
}

void client_set_default(ga_http_client *client)
{
	ga_http_client *before = this_default;

	this_default = client;
	ga_http_client_free(before);
}

/* Its maker may hold it still, and a task that is being cancelled give it back later. */
static void client_closed_with_loop(struct kept *k)
{
	ga_http_client *c = container_of(k, ga_http_client, kept);
	struct list *node;

	c->refs++; /* its requests are going, and one of them may be the last who knows it */
	while ((node = c->requests.next) != &c->requests)
		request_fail(LIST_ENTRY(node, struct http_request, all), GA_HTTP_CANCELLED,
			     "the loop is closing");
	client_close(c);
	if (c == this_default) {
		this_default = NULL;
		c->refs--;
	}
	client_unref(c);
}

/* Give back all that belongs to the loop. */
static void client_close(ga_http_client *c)
{
	struct list *node;

	c->closed = true;
	keeper_remove(&c->kept);
	while ((node = list_pop_front(&c->spare_transfers)))
		transfer_free(LIST_ENTRY(node, struct http_transfer, node));
	if (c->multi)
		(void)curl_multi_cleanup(c->multi);
	c->multi = NULL;
	loop_timer_stop(c->loop, &c->timer);
	loop_call_stop(&c->work);
	for (size_t i = 0; i < c->socket_size; i++) {
		socket_stop(c->sockets[i]);
		free(c->sockets[i]);
	}
	free(c->sockets);
	c->sockets = NULL;
	c->socket_size = 0;
}

static void client_destroy(ga_http_client *c)
{
	http_hosts_done(&c->hosts);
	address_policy_free(c->policy);
	free(c->user_agent);
	free(c->ca_file);
	free(c);
}

static void library_init(void)
{
	(void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* Put off until the first request, because libcurl's and OpenSSL's start costs milliseconds. */
int client_open(ga_http_client *c)
{
	CURLMcode code;

	if (c->multi)
		return 0;
	pthread_once(&library_once, library_init);
	c->multi = curl_multi_init();
	if (!c->multi)
		return -ENOMEM;
	code = curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_socket_change);
	if (code == CURLM_OK)
		code = curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
	if (code == CURLM_OK)
		code = curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_timer_change);
	if (code == CURLM_OK)
		code = curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
	if (code == CURLM_OK)
		code = curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, (long)c->max_active);
	if (code == CURLM_OK)
		return 0;
	(void)curl_multi_cleanup(c->multi);
	c->multi = NULL;
	return -ENOMEM;
}

/* Everything that was put off to the loop's stack. */
static void client_work(struct loop_call *call)
{
	ga_http_client *c = call->arg;
	struct list *node;
	int ignored;

	if (c->refs == 0) {
		client_close(c);
		client_destroy(c);
		return;
	}
	c->refs++; /* each request that ends may be the last */
	while ((node = list_pop_front(&c->stopping)))
		request_stop(LIST_ENTRY(node, struct http_request, node));
	while (c->active < c->max_active && (node = list_pop_front(&c->queue)))
		request_start(LIST_ENTRY(node, struct http_request, node));
	if (c->starved)
		client_fail_running(c);
	if (c->kick) {
		c->kick = false;
		(void)curl_multi_socket_action(c->multi, CURL_SOCKET_TIMEOUT, 0, &ignored);
		client_collect(c);
	}
	client_unref(c);
}

/* libcurl may not be told that a watch failed: it would give up its handle, and run no transfer any more. */
static int client_starve(ga_http_client *c)
{
	c->starved = true;
	loop_call_soon(c->loop, &c->work);
	return 0;
}

/* Whose watch it was is not known: exchanges share connections. */
static void client_fail_running(ga_http_client *c)
{
	struct list *node = c->requests.next;

	c->starved = false;
	while (node != &c->requests) {
		struct http_request *r = LIST_ENTRY(node, struct http_request, all);

		node = node->next;
		if (r->state == REQUEST_RUNNING)
			request_fail(r, GA_HTTP_NO_MEMORY, "no memory");
	}
}

static void client_collect(ga_http_client *c)
{
	struct http_transfer *t;
	CURLMsg *message;
	int ignored;

	while ((message = curl_multi_info_read(c->multi, &ignored))) {
		CURLcode code = message->data.result;

		if (message->msg != CURLMSG_DONE ||
		    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&t) != CURLE_OK)
			continue;
		request_transfer_done(t->request, code);
	}
	if (!list_empty(&c->queue) && c->active < c->max_active)
		loop_call_soon(c->loop, &c->work);
}

static void on_timer(struct loop_timer *t)
{
	ga_http_client *c = t->arg;

	c->kick = true;
	loop_call_soon(c->loop, &c->work);
}

/* libcurl must not be called from here. */
static int on_timer_change(CURLM *multi GA_UNUSED, long ms, void *arg)
{
	ga_http_client *c = arg;

	if (ms == 0) {
		c->kick = true;
		loop_call_soon(c->loop, &c->work);
		return 0;
	}
	if (ms < 0) {
		loop_timer_stop(c->loop, &c->timer);
		return 0;
	}
	if (loop_timer_set(c->loop, &c->timer, loop_now(c->loop) + ms * NSEC_PER_MSEC) < 0)
		return client_starve(c);
	return 0;
}

/* An idle connection is watched, so that the next exchange on it costs no system call, but holds up no loop's end. */
static void socket_set_idle(struct http_socket *s, bool idle)
{
	if (s->idle == idle)
		return;
	s->idle = idle;
	loop_hold(s->watch.loop, idle ? -1 : 1);
}

static int socket_want(struct http_socket *s, unsigned events)
{
	int r = io_watch_change(&s->watch, events);

	s->wanted = true;
	socket_set_idle(s, false);
	return r;
}

/* The exchange is over: keep on listening, if that is what was done. */
static void socket_unwant(struct http_socket *s)
{
	s->wanted = false;
	if (s->watch.events == LOOP_READ)
		socket_set_idle(s, true);
	else
		(void)!io_watch_change(&s->watch, 0);
}

static int on_socket_change(CURL *easy GA_UNUSED, curl_socket_t fd, int what, void *arg,
			    void *unused GA_UNUSED)
{
	ga_http_client *c = arg;
	struct http_socket *s = socket_at(c, fd);
	unsigned events = (what & CURL_POLL_IN ? LOOP_READ : 0) |
			  (what & CURL_POLL_OUT ? LOOP_WRITE : 0);

	if (!s)
		return client_starve(c);
	if (what == CURL_POLL_REMOVE || events == 0) {
		if (s->started)
			socket_unwant(s);
		return 0;
	}
	if (s->started)
		return socket_want(s, events) < 0 ? client_starve(c) : 0;
	if (io_watch_start(c->loop, &s->watch, fd, events, on_socket, c) < 0)
		return client_starve(c);
	s->started = s->wanted = true;
	s->idle = false;
	return 0;
}

static void socket_stop(struct http_socket *s)
{
	if (!s || !s->started)
		return;
	socket_set_idle(s, false);
	io_watch_stop(&s->watch);
	s->started = false;
}

/* libcurl closes sockets that never got connected without asking: what is known of this number is of another one. */
void client_forget_socket(ga_http_client *c, curl_socket_t fd)
{
	if (fd >= 0 && (size_t)fd < c->socket_size)
		socket_stop(c->sockets[fd]);
}

int client_close_socket(void *client, curl_socket_t fd)
{
	client_forget_socket(client, fd);
	return close(fd);
}

/* The record of a descriptor, which is used again with it. NULL: no memory. */
static struct http_socket *socket_at(ga_http_client *c, curl_socket_t fd)
{
	if ((size_t)fd >= c->socket_size) {
		size_t size = MAX((size_t)fd + 1, c->socket_size * 2);
		struct http_socket **sockets = reallocarray(c->sockets, size, sizeof(c->sockets[0]));

		if (!sockets)
			return NULL;
		memset(sockets + c->socket_size, 0, (size - c->socket_size) * sizeof(sockets[0]));
		c->sockets = sockets;
		c->socket_size = size;
	}
	if (!c->sockets[fd])
		c->sockets[fd] = calloc(1, sizeof(struct http_socket));
	return c->sockets[fd];
}

static void on_socket(struct io_watch *w, unsigned events)
{
	struct http_socket *s = container_of(w, struct http_socket, watch);
	ga_http_client *c = w->arg;
	int ignored;

	if (!s->wanted) { /* the server closes an idle connection; libcurl notices when it would use it */
		socket_set_idle(s, false);
		(void)!io_watch_change(w, 0);
		return;
	}
	c->refs++;
	(void)curl_multi_socket_action(c->multi, w->fd,
				       (events & LOOP_READ ? CURL_CSELECT_IN : 0) |
					       (events & LOOP_WRITE ? CURL_CSELECT_OUT : 0),
				       &ignored);
	client_collect(c);
	client_unref(c);
}
