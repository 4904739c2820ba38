/* What is held until a commit, and what is said of jobs whose first save was refused. */
#include "tap_main.h"

#include "ack.h"
#include "clock.h"
#include "engine_durable.h"
#include "keep.h"
#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATIENCE_MS 10000

static int nothing(ga_job *job)
{
	(void)job;
	return 0;
}

static const struct ga_param no_params[] = { { 0 } };
static const struct ga_job_type noop = {
	.name = "noop", .help = "does nothing", .params = no_params, .work = nothing
};

/* A broker without a loop: the test is the loop. */
struct rig {
	char directory[64];
	struct shared_page page;
	struct role role;
	struct broker broker;
};

static struct conf *conf_for(const char *directory)
{
	struct conf_issue issue;
	struct conf *conf;
	char text[128];

	snprintf(text, sizeof(text), "state_dir = \"%s\"\n", directory);
	assert_int_equal(conf_parse(text, "test", &conf, &issue), 0);
	return conf;
}

static void open_broker(struct rig *rig)
{
	const struct ga_job_type *const types[] = { &noop };
	struct broker *b = &rig->broker;
	struct engine_options options = { .epoch = 1 };
	struct store_facts facts;
	char why[256];

	*b = (struct broker){ .role = &rig->role, .turn_begun = true };
	b->conf = conf_for(rig->directory);
	assert_int_equal(type_table_new(types, 1, &b->types, why, sizeof(why)), 0);
	assert_int_equal(keep_open(b), 0);
	store_facts(b->store, &facts);
	options.first_sequence = facts.last_sequence + 1;
	assert_int_equal(engine_new(&options, &b->engine), 0);
	engine_advance(b->engine, clock_boottime(), clock_wall());
}

static void close_broker(struct rig *rig)
{
	struct broker *b = &rig->broker;

	keep_close(b);
	engine_free(b->engine);
	type_table_free(b->types);
	conf_free(b->conf);
}

static void end_turn(struct broker *b)
{
	size_t count;

	(void)engine_run(b->engine, &count);
	engine_reap(b->engine);
	keep_turn(b);
}

static void wait_for_store(struct broker *b)
{
	struct pollfd p = { .fd = store_fd(b->store), .events = POLLIN };

	assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
}

static struct job *submit(struct broker *b, const char *key, int expected)
{
	struct submission s = { .durability = DURABILITY_FSYNC, .key = span_of(key), .detached = true };
	struct job *job;

	assert_int_equal(engine_submit(b->engine, &s, &job), expected);
	return job;
}

/* ---- a client that waits for its acknowledgement ---- */

struct client {
	struct keep_hold hold;
	struct broker *broker;
	struct ack ack;
	struct refusal refusal;
	int error;
	bool told;
};

static void on_safe(struct keep_hold *h, int error)
{
	struct client *c = (struct client *)(void *)h;

	c->error = error ? error : ack_settle(c->broker, &c->ack, &c->refusal);
	c->told = true;
}

static void wait_for_ack(struct broker *b, struct client *c, struct job *job, bool duplicate)
{
	*c = (struct client){ .broker = b };
	ack_of(&(struct submitted){ job, duplicate }, &c->ack);
	keep_hold(b, &c->hold, on_safe);
}

static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	snprintf(rig->directory, sizeof(rig->directory), "/tmp/gather-keep-XXXXXX");
	assert_non_null(mkdtemp(rig->directory));
	rig->role.page = &rig->page;
	*state = rig;
	open_broker(rig);
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;
	char store[80];
	struct dirent *entry;
	DIR *dir;

	close_broker(rig);
	snprintf(store, sizeof(store), "%s/store", rig->directory);
	dir = opendir(store);
	while (dir && (entry = readdir(dir)))
		unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir)
		closedir(dir);
	rmdir(store);
	rmdir(rig->directory);
	free(rig);
	return 0;
}

static void an_answer_waits_for_its_commit(void **state)
{
	struct broker *b = &((struct rig *)*state)->broker;
	struct client c;

	wait_for_ack(b, &c, submit(b, "a", 0), false);
	end_turn(b);
	assert_false(c.told);
	wait_for_store(b);
	assert_false(c.told);
	store_dispatch(b->store);
	assert_true(c.told);
	assert_int_equal(c.error, 0);
	assert_int_equal(c.ack.state, JOB_READY);
}

/* The store knows the key, the engine doesn't: two clients meet in a job that is refused, the second when the word of it is
 * there already but was not heard yet, and so waits for a later batch than the first. */
static void all_who_met_a_refused_job_are_told(void **state)
{
	struct rig *rig = *state;
	struct broker *b = &rig->broker;
	struct client first, second;
	struct uuid holder = submit(b, "a", 0)->id;
	struct job *job;

	end_turn(b);
	close_broker(rig);
	open_broker(rig);
	job = submit(b, "a", 0);
	wait_for_ack(b, &first, job, false);
	end_turn(b);
	wait_for_store(b);
	assert_ptr_equal(submit(b, "a", 1), job);
	submit(b, "b", 0);
	wait_for_ack(b, &second, job, true);
	store_dispatch(b->store);
	assert_true(first.told);
	assert_int_equal(first.error, 0);
	assert_true(uuid_equal(&first.ack.id, &holder));
	assert_false(second.told);
	end_turn(b);
	wait_for_store(b);
	store_dispatch(b->store);
	assert_true(second.told);
	assert_int_equal(second.error, 0);
	assert_true(uuid_equal(&second.ack.id, &holder));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_answer_waits_for_its_commit, set_up, tear_down),
		cmocka_unit_test_setup_teardown(all_who_met_a_refused_job_are_told, set_up, tear_down),
	};

	return TAP_RUN(tests);
}
