/*
 * test_dns.c — names to addresses, with a small name server of the test's own on the same loop.
 */
#include "tap_main.h"

#include "clock.h"
#include "dns_rig.h"

#include <errno.h>
#include <string.h>

struct rig {
	struct loop *loop;
	struct dns *dns;
	struct dns_rig server;
	struct loop_timer limit;
	int64_t clock_offset;
	int expected, told;
};

struct asked {
	struct dns_query query;
	struct rig *rig;
	struct dns_answer *answer;
};

static int64_t rig_clock(void *arg)
{
	return clock_monotonic() + ((struct rig *)arg)->clock_offset;
}

static void on_limit(struct loop_timer *t)
{
	struct rig *rig = t->arg;

	loop_stop(rig->loop);
}

static int setup_with(void **state, unsigned timeout_ms)
{
	static struct rig rig_memory;
	struct rig *rig = &rig_memory;
	struct loop_options options = { .clock = rig_clock, .clock_arg = rig };
	struct dns_options dns = { .servers = rig->server.address, .timeout_ms = timeout_ms, .tries = 2 };

	*rig = (struct rig){ 0 };
	if (loop_new(&options, &rig->loop) < 0 || dns_rig_open(rig->loop, &rig->server) < 0 ||
	    dns_new(rig->loop, &dns, &rig->dns) < 0)
		return -1;
	loop_timer_init(&rig->limit, on_limit, rig);
	*state = rig;
	return 0;
}

/* Where every question is answered, however slow the machine is. */
static int setup(void **state)
{
	return setup_with(state, 10000);
}

/* Where a question is left without an answer. */
static int setup_impatient(void **state)
{
	return setup_with(state, 100);
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	dns_free(rig->dns);
	dns_rig_close(&rig->server);
	loop_free(rig->loop);
	return 0;
}

static void on_answer(struct dns_query *q, struct dns_answer *answer)
{
	struct asked *a = container_of(q, struct asked, query);

	a->answer = dns_answer_ref(answer);
	if (++a->rig->told == a->rig->expected)
		loop_stop(a->rig->loop);
}

/* Ask for a name; what dns_lookup() says. */
static int ask(struct rig *rig, struct asked *a, const char *name)
{
	*a = (struct asked){ .rig = rig };
	return dns_lookup(rig->dns, name, &a->query, on_answer, &a->answer);
}

static void wait_for(struct rig *rig, int count)
{
	rig->expected = count;
	rig->told = 0;
	assert_int_equal(
		loop_timer_set(rig->loop, &rig->limit, loop_clock(rig->loop) + 10 * NSEC_PER_SEC), 0);
	assert_int_equal(loop_run(rig->loop), 0);
	assert_int_equal(rig->told, count);
}

/* Ask and wait; the answer, to be given back. */
static struct dns_answer *resolve(struct rig *rig, const char *name)
{
	struct asked a;
	int r = ask(rig, &a, name);

	assert_true(r >= 0);
	if (r == 0)
		wait_for(rig, 1);
	assert_non_null(a.answer);
	return a.answer;
}

static bool has(const struct dns_answer *a, const char *text)
{
	struct address wanted;

	assert_int_equal(address_parse(text, &wanted), 0);
	for (unsigned i = 0; i < a->count; i++)
		if (address_equal(&a->addresses[i], &wanted))
			return true;
	return false;
}

static void a_name_has_the_addresses_of_both_families(void **state)
{
	struct dns_answer *a = resolve(*state, "both.test");

	assert_null(a->error);
	assert_int_equal(a->count, 2);
	assert_true(has(a, "192.0.2.1"));
	assert_true(has(a, "2001:db8::1"));
	dns_answer_unref(a);
	a = resolve(*state, "v4.test");
	assert_int_equal(a->count, 1);
	dns_answer_unref(a);
}

static void an_answer_is_kept_for_its_ttl_and_asked_anew_after_it(void **state)
{
	struct rig *rig = *state;

	dns_answer_unref(resolve(rig, "v4.test"));
	dns_answer_unref(resolve(rig, "V4.Test."));
	assert_int_equal(rig->server.questions, 1);
	rig->clock_offset += 59 * NSEC_PER_SEC;
	dns_answer_unref(resolve(rig, "v4.test"));
	assert_int_equal(rig->server.questions, 1);
	rig->clock_offset += 2 * NSEC_PER_SEC;
	dns_answer_unref(resolve(rig, "v4.test"));
	assert_int_equal(rig->server.questions, 2);
}

static void a_ttl_of_zero_is_kept_for_a_second(void **state)
{
	struct rig *rig = *state;

	dns_answer_unref(resolve(rig, "zero.test"));
	dns_answer_unref(resolve(rig, "zero.test"));
	assert_int_equal(rig->server.questions, 1);
	rig->clock_offset += NSEC_PER_SEC + 1;
	dns_answer_unref(resolve(rig, "zero.test"));
	assert_int_equal(rig->server.questions, 2);
}

static void those_who_ask_at_once_share_a_lookup(void **state)
{
	struct rig *rig = *state;
	struct asked a[50];

	for (int i = 0; i < 50; i++)
		assert_int_equal(ask(rig, &a[i], "v4.test"), 0);
	wait_for(rig, 50);
	assert_int_equal(rig->server.questions, 1);
	for (int i = 0; i < 50; i++) {
		assert_int_equal(a[i].answer->count, 1);
		dns_answer_unref(a[i].answer);
	}
}

static void many_names_are_asked_for_in_their_turn(void **state)
{
	enum { COUNT = 1000 };
	static struct asked a[COUNT];
	struct rig *rig = *state;

	for (int i = 0; i < COUNT; i++) {
		char name[32];

		snprintf(name, sizeof(name), "host-%d.test", i);
		assert_int_equal(ask(rig, &a[i], name), 0);
	}
	wait_for(rig, COUNT);
	for (int i = 0; i < COUNT; i++) {
		assert_null(a[i].answer->error);
		dns_answer_unref(a[i].answer);
	}
}

static void the_least_recently_used_names_leave(void **state)
{
	enum { COUNT = 5000 };
	static struct asked a[COUNT];
	struct rig *rig = *state;
	int before;

	for (int at = 0; at < COUNT; at += 1000) {
		for (int i = at; i < at + 1000; i++) {
			char name[32];

			snprintf(name, sizeof(name), "host-%d.test", i);
			assert_int_equal(ask(rig, &a[i], name), 0);
		}
		wait_for(rig, 1000);
	}
	for (int i = 0; i < COUNT; i++)
		dns_answer_unref(a[i].answer);
	before = rig->server.questions;
	dns_answer_unref(resolve(rig, "host-4999.test"));
	assert_int_equal(rig->server.questions, before);
	dns_answer_unref(resolve(rig, "host-0.test"));
	assert_true(rig->server.questions > before);
}

static void a_name_that_is_not_there_is_an_error_kept_for_a_second(void **state)
{
	struct rig *rig = *state;
	struct dns_answer *a = resolve(rig, "nx.test");
	int before = rig->server.questions;

	assert_non_null(a->error);
	assert_int_equal(a->count, 0);
	dns_answer_unref(a);
	dns_answer_unref(resolve(rig, "nx.test"));
	assert_int_equal(rig->server.questions, before);
	rig->clock_offset += 2 * NSEC_PER_SEC;
	dns_answer_unref(resolve(rig, "nx.test"));
	assert_true(rig->server.questions > before);
}

static void a_failing_or_silent_server_is_an_error_not_kept(void **state)
{
	static const char *const names[] = { "servfail.test", "silent.test" };
	struct rig *rig = *state;

	for (int i = 0; i < 2; i++) {
		struct dns_answer *a = resolve(rig, names[i]);
		int before = rig->server.questions;

		assert_non_null(a->error);
		dns_answer_unref(a);
		dns_answer_unref(resolve(rig, names[i]));
		assert_true(rig->server.questions > before);
	}
}

static void the_hosts_file_counts(void **state)
{
	struct rig *rig = *state;
	struct dns_answer *a = resolve(rig, "localhost");

	assert_null(a->error);
	assert_true(has(a, "127.0.0.1"));
	assert_int_equal(rig->server.questions, 0);
	dns_answer_unref(a);
}

static void what_is_no_host_name_is_refused(void **state)
{
	static const char *const bad[] = { "",    ".",   "a..b", ".a",
					   "a b", "a/b", "a\nb", "b\303\274cher.de",
					   "a:1", "*" };
	char longest[300];
	struct asked a;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(ask(*state, &a, bad[i]), -EINVAL);
	memset(longest, 'a', 254);
	longest[254] = '\0';
	assert_int_equal(ask(*state, &a, longest), -EINVAL);
}

static void who_stops_waiting_is_not_told(void **state)
{
	struct rig *rig = *state;
	struct asked a, b;

	assert_int_equal(ask(rig, &a, "v4.test"), 0);
	assert_int_equal(ask(rig, &b, "v4.test"), 0);
	dns_query_stop(&a.query);
	dns_query_stop(&a.query);
	wait_for(rig, 1);
	assert_null(a.answer);
	dns_answer_unref(b.answer);
	/* Nobody waits for this one when its turn comes: it isn't asked for at all. */
	assert_int_equal(ask(rig, &a, "other.test"), 0);
	dns_query_stop(&a.query);
	assert_int_equal(ask(rig, &b, "both.test"), 0);
	wait_for(rig, 1);
	dns_answer_unref(b.answer);
	assert_int_equal(rig->server.questions, 2);
}

static void those_who_wait_at_its_end_are_told(void **state)
{
	struct rig *rig = *state;
	struct asked queued, asked;

	assert_int_equal(ask(rig, &asked, "silent.test"), 0);
	assert_int_equal(
		loop_timer_set(rig->loop, &rig->limit, loop_clock(rig->loop) + NSEC_PER_MSEC), 0);
	assert_int_equal(loop_run(rig->loop), 0);
	assert_int_equal(ask(rig, &queued, "v4.test"), 0);
	dns_free(rig->dns);
	rig->dns = NULL;
	assert_int_equal(rig->told, 2);
	assert_non_null(asked.answer->error);
	assert_non_null(queued.answer->error);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
#define TEST_IMPATIENT(fn) cmocka_unit_test_setup_teardown(fn, setup_impatient, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_name_has_the_addresses_of_both_families),
		TEST(an_answer_is_kept_for_its_ttl_and_asked_anew_after_it),
		TEST(a_ttl_of_zero_is_kept_for_a_second),
		TEST(those_who_ask_at_once_share_a_lookup),
		TEST(many_names_are_asked_for_in_their_turn),
		TEST(the_least_recently_used_names_leave),
		TEST(a_name_that_is_not_there_is_an_error_kept_for_a_second),
		TEST_IMPATIENT(a_failing_or_silent_server_is_an_error_not_kept),
		TEST(the_hosts_file_counts),
		TEST(what_is_no_host_name_is_refused),
		TEST(who_stops_waiting_is_not_told),
		TEST(those_who_wait_at_its_end_are_told),
	};

	return TAP_RUN(tests);
}
