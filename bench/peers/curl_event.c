/*
 * The bare client that a worker's fetching is measured by: libcurl's multi interface on libevent, nothing else.
 *
 *	curl_event URL COUNT AT_ONCE
 *
 * Changes to epoll's set are gathered and made once a turn (EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST), which is worth a
 * third of the rate. Bodies are kept, in order, and compared at the end.
 */
#include "figures.h"
#include <curl/curl.h>
#include <event2/event.h>
#include <string.h>

struct body {
	char *data;
	size_t size;
};

struct fetch {
	CURL *easy;
	int index;
	int64_t started;
};

static struct {
	const char *url;
	int count, started, done;
	struct event_base *base;
	struct event *timer;
	CURLM *multi;
	struct body *bodies;
	struct figures figures;
} client;

static size_t on_data(char *data, size_t size, size_t count, void *context)
{
	const struct fetch *fetch = context;
	struct body *body = &client.bodies[fetch->index];
	size_t n = size * count;
	char *grown = realloc(body->data, body->size + n);

	if (!grown)
		return 0;
	memcpy(grown + body->size, data, n);
	body->data = grown;
	body->size += n;
	return n;
}

static void start(struct fetch *fetch)
{
	char url[512];

	fetch->index = client.started++;
	fetch->started = figures_now();
	snprintf(url, sizeof(url), "%s?i=%d", client.url, fetch->index);
	curl_easy_setopt(fetch->easy, CURLOPT_URL, url);
	curl_multi_add_handle(client.multi, fetch->easy);
}

static void end_finished(void)
{
	const CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(client.multi, &left))) {
		CURL *easy = message->easy_handle;
		struct fetch *fetch;

		if (message->data.result != CURLE_OK)
			figures_fail("%s", curl_easy_strerror(message->data.result));
		curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&fetch);
		curl_multi_remove_handle(client.multi, easy);
		figures_add(&client.figures, fetch->started);
		client.done++;
		if (client.started < client.count)
			start(fetch);
	}
	if (client.done == client.count)
		event_base_loopbreak(client.base);
}

static void on_socket(evutil_socket_t fd, short what, void *context)
{
	int running, flags = 0;

	(void)context;
	if (what & EV_READ)
		flags |= CURL_CSELECT_IN;
	if (what & EV_WRITE)
		flags |= CURL_CSELECT_OUT;
	curl_multi_socket_action(client.multi, fd, flags, &running);
	end_finished();
}

static void on_timer(evutil_socket_t fd, short what, void *context)
{
	int running;

	(void)fd;
	(void)what;
	(void)context;
	curl_multi_socket_action(client.multi, CURL_SOCKET_TIMEOUT, 0, &running);
	end_finished();
}

static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *assigned)
{
	struct event *event = assigned;
	short events = EV_PERSIST;

	(void)easy;
	(void)context;
	if (what == CURL_POLL_REMOVE) {
		if (event)
			event_free(event);
		return 0;
	}
	if (what & CURL_POLL_IN)
		events |= EV_READ;
	if (what & CURL_POLL_OUT)
		events |= EV_WRITE;
	if (event) {
		event_del(event);
		event_assign(event, client.base, fd, events, on_socket, NULL);
	} else {
		event = event_new(client.base, fd, events, on_socket, NULL);
		curl_multi_assign(client.multi, fd, event);
	}
	event_add(event, NULL);
	return 0;
}

static int set_timer(CURLM *multi, long ms, void *context)
{
	struct timeval after = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	(void)multi;
	(void)context;
	if (ms < 0)
		evtimer_del(client.timer);
	else
		evtimer_add(client.timer, &after);
	return 0;
}

static void set_up(long at_once)
{
	struct event_config *config = event_config_new();

	curl_global_init(CURL_GLOBAL_ALL);
	event_config_set_flag(config, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
	client.base = event_base_new_with_config(config);
	event_config_free(config);
	client.timer = evtimer_new(client.base, on_timer, NULL);
	client.multi = curl_multi_init();
	client.bodies = calloc((size_t)client.count, sizeof(*client.bodies));
	curl_multi_setopt(client.multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
	curl_multi_setopt(client.multi, CURLMOPT_TIMERFUNCTION, set_timer);
	curl_multi_setopt(client.multi, CURLMOPT_MAXCONNECTS, at_once);
}

static void start_first(int at_once)
{
	for (int i = 0; i < at_once; i++) {
		struct fetch *fetch = calloc(1, sizeof(*fetch));

		fetch->easy = curl_easy_init();
		curl_easy_setopt(fetch->easy, CURLOPT_PRIVATE, fetch);
		curl_easy_setopt(fetch->easy, CURLOPT_WRITEFUNCTION, on_data);
		curl_easy_setopt(fetch->easy, CURLOPT_WRITEDATA, fetch);
		curl_easy_setopt(fetch->easy, CURLOPT_NOSIGNAL, 1L);
		curl_easy_setopt(fetch->easy, CURLOPT_FAILONERROR, 1L);
		start(fetch);
	}
}

int main(int argc, char *argv[])
{
	int at_once;

	if (argc != 4)
		return 2;
	client.url = argv[1];
	client.count = atoi(argv[2]);
	at_once = atoi(argv[3]);
	set_up(at_once);
	figures_start(&client.figures);
	start_first(at_once < client.count ? at_once : client.count);
	event_base_dispatch(client.base);
	for (int i = 0; i < client.count; i++)
		if (!client.bodies[i].size || client.bodies[i].size != client.bodies[0].size)
			figures_fail("body %d has %zu bytes", i, client.bodies[i].size);
	figures_print(&client.figures);
	return 0;
}
