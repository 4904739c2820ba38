#include "tap_main.h"

#include "clock.h"
#include "record.h"
#include <errno.h>
#include <fcntl.h>
#include <gather/client.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

/*
 * The daemon's side, played in the same thread: the socket's buffers hold what either side hasn't read yet.
 */
struct peer {
	char directory[32], path[64];
	int listener, fd;
	struct buf in;
	size_t taken;
	ga_client *client;
};

static int set_up(void **state)
{
	struct peer *p = calloc(1, sizeof(*p));
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	strcpy(p->directory, "/tmp/test-client-XXXXXX");
	if (!mkdtemp(p->directory))
		return -1;
	snprintf(p->path, sizeof(p->path), "%s/s", p->directory);
	strcpy(address.sun_path, p->path);
	p->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(p->listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(p->listener, 5) < 0 || ga_client_connect(p->path, &p->client) < 0)
		return -1;
	p->fd = accept(p->listener, NULL, NULL);
	*state = p;
	return p->fd < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
	struct peer *p = *state;

	ga_client_close(p->client);
	if (p->fd >= 0)
		close(p->fd);
	close(p->listener);
	unlink(p->path);
	rmdir(p->directory);
	buf_done(&p->in);
	free(p);
	return 0;
}

static void send_raw(struct peer *p, const void *data, size_t size)
{
	assert_int_equal(send(p->fd, data, size, MSG_NOSIGNAL), size);
}

static void send_record(struct peer *p, const struct record *r)
{
	struct buf b = BUF_INIT;

	assert_int_equal(record_put(&b, r), 0);
	send_raw(p, buf_data(&b), buf_size(&b));
	buf_done(&b);
}

/* The next record that the client sent; what it points to lives until the next call. */
static struct record receive(struct peer *p)
{
	struct record r;

	buf_consume(&p->in, p->taken);
	p->taken = 0;
	for (;;) {
		struct span input = { buf_data(&p->in), buf_size(&p->in) };
		const char *why = "";
		char *room;
		ssize_t n;

		if (input.size && record_next(&input, &r, &why) == 1) {
			p->taken = buf_size(&p->in) - input.size;
			return r;
		}
		room = buf_reserve(&p->in, 65536);
		n = recv(p->fd, room, 65536, MSG_DONTWAIT);
		assert_true(n > 0);
		buf_grew(&p->in, (size_t)n);
	}
}

static const struct uuid some_id = { { 0x01, 0x98, 2, 3, 4, 5, 0x76, 7, 0x88, 9, 10, 11, 12, 13, 14,
				       15 } };

static struct record finished(uint64_t tag, enum job_state state, const char *body)
{
	return (struct record){ .kind = RECORD_FINISHED,
				.ref = tag,
				.finished = { .id = some_id,
					      .state = state,
					      .attempts = 2,
					      .elapsed_us = 1500,
					      .meta = SPAN("{\"n\":1}"),
					      .body = span_of(body) } };
}

static void assert_bytes(struct ga_bytes bytes, const char *text)
{
	assert_int_equal(bytes.size, strlen(text));
	assert_memory_equal(bytes.data, text, bytes.size);
}

static void a_submission_travels_as_given(void **state)
{
	struct peer *p = *state;
	const struct ga_submission s = { .type = "noop",
					 .args = "{\"a\":1}",
					 .options = "{\"priority\":5}",
					 .tag = UINT64_C(1) << 63 | 7,
					 .want_result = true };
	struct record r;

	assert_int_equal(ga_client_submit(p->client, &s), 0);
	assert_true(ga_client_wants_write(p->client));
	assert_int_equal(ga_client_flush(p->client, GA_CLIENT_FOREVER), 0);
	assert_false(ga_client_wants_write(p->client));
	r = receive(p);
	assert_int_equal(r.kind, RECORD_SUBMIT);
	assert_true(r.ref == s.tag);
	assert_int_equal(r.submit.flags, SUBMIT_WANT_RESULT);
	assert_true(span_equal(r.submit.type, SPAN("noop")));
	assert_true(span_equal(r.submit.args, SPAN("{\"a\":1}")));
	assert_true(span_equal(r.submit.options, SPAN("{\"priority\":5}")));
}

static void waiting_sends_what_is_buffered(void **state)
{
	struct peer *p = *state;
	struct ga_client_event e;

	assert_int_equal(ga_client_cancel(p->client, 42), 0);
	assert_int_equal(ga_client_next(p->client, 0, &e), 0);
	assert_int_equal(receive(p).kind, RECORD_ABORT);
}

static void a_finished_job_comes_as_an_event(void **state)
{
	struct peer *p = *state;
	struct record r = finished(9, JOB_SUCCEEDED, "hello");
	struct ga_client_event e;

	send_record(p, &r);
	assert_int_equal(ga_client_next(p->client, GA_CLIENT_FOREVER, &e), 1);
	assert_int_equal(e.kind, GA_EVENT_FINISHED);
	assert_int_equal(e.tag, 9);
	assert_int_equal(e.state, GA_SUCCEEDED);
	assert_int_equal(e.attempts, 2);
	assert_int_equal(e.elapsed_us, 1500);
	assert_string_equal(e.id, "01980203-0405-7607-8809-0a0b0c0d0e0f");
	assert_bytes(e.body, "hello");
	assert_bytes(e.meta, "{\"n\":1}");
	assert_int_equal(ga_client_next(p->client, 0, &e), 0);
}

static void acceptance_and_refusal_come_as_events(void **state)
{
	struct peer *p = *state;
	const struct record accepted = { .kind = RECORD_ACCEPTED,
					 .ref = 1,
					 .accepted = { .id = some_id, .durability = DURABILITY_MEMORY } };
	const struct record refused = { .kind = RECORD_REFUSED,
					.ref = 2,
					.refused = { .status = 429,
						     .retry_after_ms = 250,
						     .code = SPAN("busy"),
						     .field = SPAN("queue"),
						     .message = SPAN("The queue is full.") } };
	struct ga_client_event e;

	send_record(p, &accepted);
	send_record(p, &refused);
	assert_int_equal(ga_client_next(p->client, GA_CLIENT_FOREVER, &e), 1);
	assert_int_equal(e.kind, GA_EVENT_ACCEPTED);
	assert_string_equal(e.durability, "memory");
	assert_int_equal(strlen(e.id), 36);
	assert_int_equal(ga_client_next(p->client, GA_CLIENT_FOREVER, &e), 1);
	assert_int_equal(e.kind, GA_EVENT_REFUSED);
	assert_int_equal(e.status, 429);
	assert_int_equal(e.retry_after_ms, 250);
	assert_string_equal(e.id, "");
	assert_bytes(e.code, "busy");
	assert_bytes(e.field, "queue");
	assert_bytes(e.message, "The queue is full.");
}

static void a_record_in_pieces_is_one_event(void **state)
{
	struct peer *p = *state;
	struct record r = finished(3, JOB_FAILED, "piecewise");
	struct buf b = BUF_INIT;
	struct ga_client_event e;

	assert_int_equal(record_put(&b, &r), 0);
	for (size_t i = 0; i + 1 < buf_size(&b); i++) {
		send_raw(p, buf_data(&b) + i, 1);
		assert_int_equal(ga_client_next(p->client, 0, &e), 0);
	}
	send_raw(p, buf_data(&b) + buf_size(&b) - 1, 1);
	assert_int_equal(ga_client_next(p->client, 0, &e), 1);
	assert_int_equal(e.state, GA_FAILED);
	assert_bytes(e.body, "piecewise");
	buf_done(&b);
}

static void a_request_keeps_the_events_that_overtake_its_answer(void **state)
{
	struct peer *p = *state;
	struct record first = finished(1, JOB_SUCCEEDED, "one"),
		      second = finished(2, JOB_SUCCEEDED, "two"),
		      third = finished(3, JOB_SUCCEEDED, "three");
	const struct record answer = { .kind = RECORD_RESPONSE,
				       .ref = 1,
				       .response = { .status = 200,
						     .content_type = SPAN("application/json"),
						     .body = SPAN("{}") } };
	struct ga_response response;
	struct ga_client_event e;
	struct record r;

	send_record(p, &first);
	send_record(p, &second);
	send_record(p, &answer);
	send_record(p, &third);
	assert_int_equal(ga_client_request(p->client, "GET", "/v1/stats", "x", 1, GA_CLIENT_FOREVER,
					   &response),
			 0);
	assert_int_equal(response.status, 200);
	assert_string_equal(response.content_type, "application/json");
	assert_bytes(response.body, "{}");
	r = receive(p);
	assert_int_equal(r.kind, RECORD_REQUEST);
	assert_int_equal(r.ref, 1);
	assert_true(span_equal(r.request.method, SPAN("GET")));
	assert_true(span_equal(r.request.target, SPAN("/v1/stats")));
	assert_true(span_equal(r.request.body, SPAN("x")));
	for (uint64_t tag = 1; tag <= 3; tag++) {
		assert_int_equal(ga_client_next(p->client, 0, &e), 1);
		assert_int_equal(e.tag, tag);
	}
	assert_bytes(e.body, "three");
	assert_int_equal(ga_client_next(p->client, 0, &e), 0);
}

static void the_late_answer_to_an_abandoned_request_is_dropped(void **state)
{
	struct peer *p = *state;
	struct record answer = { .kind = RECORD_RESPONSE,
				 .ref = 1,
				 .response = { .status = 200, .body = SPAN("late") } };
	struct record event = finished(5, JOB_SUCCEEDED, "");
	struct ga_response response;
	struct ga_client_event e;

	assert_int_equal(ga_client_request(p->client, "GET", "/a", NULL, 0,
					   ga_client_now() + NSEC_PER_MSEC, &response),
			 -ETIMEDOUT);
	send_record(p, &answer);
	answer.ref = 2;
	answer.response.body = SPAN("right");
	send_record(p, &answer);
	assert_int_equal(
		ga_client_request(p->client, "GET", "/b", NULL, 0, GA_CLIENT_FOREVER, &response), 0);
	assert_bytes(response.body, "right");
	answer.ref = 1;
	send_record(p, &answer);
	send_record(p, &event);
	assert_int_equal(ga_client_next(p->client, GA_CLIENT_FOREVER, &e), 1);
	assert_int_equal(e.tag, 5);
}

static void what_was_said_before_hanging_up_is_delivered(void **state)
{
	struct peer *p = *state;
	struct record r = finished(1, JOB_SUCCEEDED, "last words");
	const struct ga_submission s = { .type = "noop" };
	struct ga_client_event e;

	send_record(p, &r);
	close(p->fd);
	p->fd = -1;
	assert_int_equal(ga_client_submit(p->client, &s), 0);
	assert_int_equal(ga_client_next(p->client, GA_CLIENT_FOREVER, &e), 1);
	assert_bytes(e.body, "last words");
	assert_int_equal(ga_client_next(p->client, GA_CLIENT_FOREVER, &e), -EPIPE);
	assert_int_equal(ga_client_next(p->client, 0, &e), -EPIPE);
	assert_int_equal(ga_client_submit(p->client, &s), 0);
	assert_int_equal(ga_client_flush(p->client, GA_CLIENT_FOREVER), -EPIPE);
}

static void another_protocol_is_told_apart(void **state)
{
	struct peer *p = *state;
	struct ga_client_event e;
	struct ga_response response;

	send_raw(p, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
	assert_int_equal(ga_client_next(p->client, GA_CLIENT_FOREVER, &e), -EPROTO);
	assert_int_equal(ga_client_request(p->client, "GET", "/", NULL, 0, GA_CLIENT_FOREVER, &response),
			 -EPROTO);
}

static void a_full_house_is_told_apart(void **state)
{
	static const char full[] = "HTTP/1.1 503 Service Unavailable\r\n\r\n";
	struct peer *p = *state;
	struct ga_client_event e;
	struct ga_response response;

	send_raw(p, full, sizeof(full) - 1);
	assert_int_equal(ga_client_next(p->client, GA_CLIENT_FOREVER, &e), -EBUSY);
	assert_int_equal(ga_client_request(p->client, "GET", "/", NULL, 0, GA_CLIENT_FOREVER, &response),
			 -EBUSY);
}

static void a_submission_over_the_limit_changes_nothing(void **state)
{
	struct peer *p = *state;
	char *args = calloc(1, RECORD_MAX + 1);
	struct ga_submission s = { .type = "noop", .args = args };

	memset(args, ' ', RECORD_MAX);
	assert_int_equal(ga_client_submit(p->client, &s), -EMSGSIZE);
	assert_false(ga_client_wants_write(p->client));
	free(args);
}

/* Both sockets full: the daemon doesn't read before its answers are read. */
static void a_flush_reads_what_stands_in_the_way(void **state)
{
	struct peer *p = *state;
	char args[4096] = "";
	const struct ga_submission s = { .type = "noop", .args = args, .want_result = true };
	const int jobs = 500;
	size_t answered = 0;
	struct buf answers = BUF_INIT;
	struct record r;
	struct ga_client_event e;

	memset(args, ' ', sizeof(args) - 1);
	r = finished(1, JOB_SUCCEEDED, args);
	for (int i = 0; i < jobs; i++) {
		assert_int_equal(ga_client_submit(p->client, &s), 0);
		assert_int_equal(record_put(&answers, &r), 0);
	}
	for (int i = 0; i < 10000 && answered < buf_size(&answers); i++) {
		ssize_t n = send(p->fd, buf_data(&answers) + answered,
				 buf_size(&answers) - answered, MSG_DONTWAIT | MSG_NOSIGNAL);

		answered += n > 0 ? (size_t)n : 0;
		assert_int_equal(ga_client_flush(p->client, ga_client_now()), -ETIMEDOUT);
	}
	assert_int_equal(answered, buf_size(&answers));
	for (int i = 0; i < jobs; i++)
		assert_int_equal(ga_client_next(p->client, 0, &e), 1);
	for (int i = 0; i < jobs && ga_client_wants_write(p->client); i++) {
		assert_int_equal(receive(p).kind, RECORD_SUBMIT);
		assert_int_equal(ga_client_next(p->client, 0, &e), 0);
	}
	assert_false(ga_client_wants_write(p->client));
	buf_done(&answers);
}

static void a_deadline_is_kept_both_short_and_long(void **state)
{
	struct peer *p = *state;
	struct ga_client_event e;

	for (int64_t ms = 1; ms <= 256; ms += 255) {
		int64_t start = ga_client_now();

		assert_int_equal(ga_client_next(p->client, start + ms * NSEC_PER_MSEC, &e), 0);
		assert_true(ga_client_now() - start >= ms * NSEC_PER_MSEC);
	}
}

static void on_alarm(int signal)
{
	(void)signal;
}

static void a_signal_ends_the_wait(void **state)
{
	struct peer *p = *state;
	const struct sigaction handler = { .sa_handler = on_alarm };
	const struct itimerval soon = { .it_value = { .tv_usec = 1000 },
					.it_interval = { .tv_usec = 1000 } },
			       never = { .it_value = { 0 } };
	struct record r = finished(1, JOB_SUCCEEDED, "");
	struct ga_client_event e;

	sigaction(SIGALRM, &handler, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
	assert_int_equal(ga_client_next(p->client, GA_CLIENT_FOREVER, &e), -EINTR);
	setitimer(ITIMER_REAL, &never, NULL);
	send_record(p, &r);
	assert_int_equal(ga_client_next(p->client, GA_CLIENT_FOREVER, &e), 1);
}

static void no_daemon_is_an_error_of_connecting(void **state)
{
	struct peer *p = *state;
	ga_client *other = NULL;
	char longest[200];

	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(ga_client_connect("/nonexistent/s", &other), -ENOENT);
	assert_int_equal(ga_client_connect(longest, &other), -ENAMETOOLONG);
	close(p->listener);
	assert_int_equal(ga_client_connect(p->path, &other), -ECONNREFUSED);
	assert_null(other);
	setenv("GATHER_SOCKET", "/nonexistent/other", 1);
	assert_int_equal(ga_client_connect(NULL, &other), -ENOENT);
	p->listener = open("/dev/null", O_RDONLY);
}

#define WITH_PEER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_PEER(a_submission_travels_as_given),
		WITH_PEER(waiting_sends_what_is_buffered),
		WITH_PEER(a_finished_job_comes_as_an_event),
		WITH_PEER(acceptance_and_refusal_come_as_events),
		WITH_PEER(a_record_in_pieces_is_one_event),
		WITH_PEER(a_request_keeps_the_events_that_overtake_its_answer),
		WITH_PEER(the_late_answer_to_an_abandoned_request_is_dropped),
		WITH_PEER(what_was_said_before_hanging_up_is_delivered),
		WITH_PEER(another_protocol_is_told_apart),
		WITH_PEER(a_full_house_is_told_apart),
		WITH_PEER(a_submission_over_the_limit_changes_nothing),
		WITH_PEER(a_flush_reads_what_stands_in_the_way),
		WITH_PEER(a_deadline_is_kept_both_short_and_long),
		WITH_PEER(a_signal_ends_the_wait),
		WITH_PEER(no_daemon_is_an_error_of_connecting),
	};

	return TAP_RUN(tests);
}
