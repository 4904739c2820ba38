#include "link_rig.h"

/* ThreadSanitizer doesn't see how libzmq's threads hand messages over: what they do in there is left out. */
GA_API const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
	return "called_from_lib:libzmq.so\nrace:libzmq.so";
}

void check(struct link *k)
{
	if (k->done && k->done(k))
		loop_stop(k->loop);
}

static void on_record(void *arg, struct peer_name from, const struct record *r)
{
	struct link *k = arg;

	if (r->kind == RECORD_RESULT)
		k->disorder += r->ref != k->last_ref + 1;
	k->heard = from;
	k->last_ref = r->ref;
	k->to_broker++;
	if (k->drain && r->ref == 2) /* until the third record, sent apart from this one, must have come */
		for (int64_t end = clock_monotonic() + NSEC_PER_SEC / 5; clock_monotonic() < end;)
			router_drain(k->router);
	if (k->echo) {
		const struct record job = { .kind = RECORD_JOB, .ref = r->ref };

		if (router_send(k->router, from, &job) < 0)
			k->disorder++;
	}
	if (k->forget)
		router_forget(k->router, from);
	check(k);
}

static void on_garbage(void *arg, struct peer_name from, const char *why)
{
	struct link *k = arg;

	k->heard = from;
	k->garbage++;
	snprintf(k->why, sizeof(k->why), "%s", why);
	check(k);
}

static void on_job(void *arg, const struct record *r)
{
	struct link *k = arg;

	k->disorder += r->kind == RECORD_JOB && r->ref != k->job_ref + 1;
	k->job_ref = r->ref;
	k->to_worker++;
	check(k);
}

static void on_dealer_garbage(void *arg, const char *why)
{
	on_garbage(arg, (struct peer_name){ 0 }, why);
}

static void on_connected(void *arg)
{
	struct link *k = arg;

	k->connects++;
	check(k);
}

static void on_disconnected(void *arg)
{
	struct link *k = arg;

	k->disconnects++;
	check(k);
}

const struct router_events router_events = { on_record, on_garbage };
const struct dealer_events dealer_events = { on_job, on_dealer_garbage, on_connected, on_disconnected };

static void on_impatience(struct loop_timer *t)
{
	struct link *k = t->arg;

	k->impatient = true;
	loop_stop(k->loop);
}

void run_until(struct link *k, bool (*done)(const struct link *k))
{
	k->done = done;
	if (done(k))
		return;
	assert_int_equal(loop_timer_set(k->loop, &k->patience, clock_monotonic() + PATIENCE), 0);
	assert_int_equal(loop_run(k->loop), 0);
	loop_timer_stop(k->loop, &k->patience);
	assert_false(k->impatient);
	k->done = NULL;
}

static void on_deferred(struct loop_call *c)
{
	loop_stop(c->arg);
}

void one_turn(struct link *k)
{
	struct loop_call c;

	loop_call_init(&c, on_deferred, k->loop);
	loop_call_soon(k->loop, &c);
	assert_int_equal(loop_run(k->loop), 0);
}

int link_setup(void **state)
{
	struct link *k = calloc(1, sizeof(*k));

	strcpy(k->directory, "/tmp/test_link.XXXXXX");
	if (!mkdtemp(k->directory) || loop_new(NULL, &k->loop) < 0)
		return -1;
	snprintf(k->path, sizeof(k->path), "%s/workers.sock", k->directory);
	loop_timer_init(&k->patience, on_impatience, k);
	*state = k;
	return 0;
}

int link_teardown(void **state)
{
	struct link *k = *state;

	dealer_close(k->dealer);
	router_close(k->router);
	loop_free(k->loop);
	unlink(k->path);
	rmdir(k->directory);
	free(k);
	return 0;
}

bool is_connected(const struct link *k)
{
	return k->connects > k->disconnects;
}

bool is_disconnected(const struct link *k)
{
	return k->disconnects > 0;
}

bool heard_one(const struct link *k)
{
	return k->to_broker >= 1;
}

bool told_one(const struct link *k)
{
	return k->to_worker >= 1;
}

void open_router(struct link *k)
{
	assert_int_equal(router_open(k->loop, k->path, &router_events, k, &k->router), 0);
}

void open_dealer(struct link *k, struct peer_name self)
{
	assert_int_equal(dealer_open(k->loop, k->path, self, &dealer_events, k, &k->dealer), 0);
	run_until(k, is_connected);
}

void say(struct link *k, uint64_t ref)
{
	const struct record r = { .kind = RECORD_RESULT,
				  .ref = ref,
				  .result = { .outcome = OUTCOME_SUCCEEDED, .body = SPAN("done") } };

	assert_int_equal(dealer_send(k->dealer, &r), 0);
}

void open_both(struct link *k)
{
	open_router(k);
	open_dealer(k, worker);
	say(k, 1);
	run_until(k, heard_one);
}

void *raw_broker(struct link *k, void *context)
{
	void *raw = zmq_socket(context, ZMQ_ROUTER);
	char endpoint[100];

	snprintf(endpoint, sizeof(endpoint), "ipc://%s", k->path);
	assert_int_equal(zmq_bind(raw, endpoint), 0);
	return raw;
}
