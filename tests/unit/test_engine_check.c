/* engine_check() notices what doesn't add up: each count and list is bent in turn, told of, and put right again. */
#include "engine_groups.h"
#include "engine_parts.h"
#include "engine_rig.h"

static bool is_broken(struct rig *rig)
{
	char why[256] = "";
	int r = engine_check(rig->e, why, sizeof(why));

	assert_true(r == 0 || (r == -EBADMSG && why[0]));
	return r < 0;
}

#define NOTICED(field)                                                                             \
	do {                                                                                       \
		(field)++;                                                                         \
		assert_true(is_broken(rig));                                                       \
		(field)--;                                                                         \
		assert_false(is_broken(rig));                                                      \
	} while (0)

struct cast { /* one job of each kind, in a rig */
	struct rig rig;
	struct job *ready, *running, *scheduled, *finished, *keyed;
	struct group *group;
};

static struct group *make_group(struct rig *rig)
{
	const struct group_submission s = { .options = { .kind = GROUP_GATHER }, .count = 1 };
	struct submission member = { .job_class = CLASS_CPU, .blocked = true, .exempt = true };
	struct group *g;

	assert_int_equal(engine_group_new(rig->e, &s, &g), 0);
	member.group = g;
	(void)rig_submit(rig, member);
	engine_group_start(rig->e, g);
	return g;
}

static void open_cast(struct cast *c)
{
	struct submission s = { .job_class = CLASS_NET, .client = 5 };
	struct rig *rig = &c->rig;

	rig_open(rig, (struct engine_options){ 0 });
	rig_worker(rig, 0, 1, 1);
	s.args = bytes_new("{}", 2);
	c->finished = rig_submit(rig, s);
	rig_turn(rig);
	rig_succeed(rig, c->finished);
	rig_turn(rig);
	c->running = rig_submit(rig, s);
	rig_turn(rig);
	c->ready = rig_submit(rig, s);
	s.due = rig->now + NSEC_PER_SEC;
	c->scheduled = rig_submit(rig, s);
	s.due = 0;
	s.key = SPAN("k");
	s.unique_key = SPAN("u");
	s.limit_key = SPAN("host");
	s.deadline = rig->now + NSEC_PER_SEC;
	c->keyed = rig_submit(rig, s);
	bytes_unref(s.args);
	c->group = make_group(rig);
	rig_turn(rig);
	assert_false(is_broken(rig));
}

static void counts_that_do_not_add_up_are_noticed(void **state)
{
	struct cast c;
	struct rig *rig = &c.rig;

	(void)state;
	open_cast(&c);
	NOTICED(rig->e->counts.jobs[JOB_READY]);
	NOTICED(rig->e->counts.jobs[JOB_EXPIRED]);
	NOTICED(rig->e->counts.args_bytes);
	NOTICED(rig->e->counts.finished_bytes);
	NOTICED(rig->e->counts.suspects);
	NOTICED(rig->e->attempts.used);
	NOTICED(rig->e->waiting.used);
	NOTICED(rig->e->deadlines.used);
	NOTICED(rig->e->uniques.used);
	NOTICED(c.ready->profile->users);
	NOTICED(c.ready->profile->queue->users);
	NOTICED(c.ready->profile->queue->index);
	NOTICED(c.ready->profile->queue->ready[CLASS_NET]->present);
	NOTICED(c.ready->profile->queue->gate.jobs);
	NOTICED(c.ready->profile->queue->gate.running);
	NOTICED(c.keyed->key->users);
	NOTICED(c.keyed->key->gate.jobs);
	NOTICED(rig->e->results->users);
	rig_close(rig);
}

static void jobs_in_wrong_places_are_noticed(void **state)
{
	struct cast c;
	struct rig *rig = &c.rig;

	(void)state;
	open_cast(&c);
	NOTICED(c.ready->sequence);
	NOTICED(c.running->token);
	NOTICED(c.running->slot);
	NOTICED(c.ready->client);
	c.ready->cancelling = true;
	assert_true(is_broken(rig));
	c.ready->cancelling = false;
	c.ready->gone = true;
	assert_true(is_broken(rig));
	c.ready->gone = false;
	c.finished->finished_at = 0;
	assert_true(is_broken(rig));
	c.finished->finished_at = rig->now;
	c.finished->delivered = true;
	assert_true(is_broken(rig));
	c.finished->delivered = false;
	c.scheduled->state = JOB_ACCEPTED;
	assert_true(is_broken(rig));
	c.scheduled->state = 0;
	assert_true(is_broken(rig));
	c.scheduled->state = JOB_SCHEDULED;
	assert_false(is_broken(rig));
	rig_close(rig);
}

static void a_miscounted_worker_is_noticed(void **state)
{
	struct cast c;
	struct rig *rig = &c.rig;
	struct worker *w;

	(void)state;
	open_cast(&c);
	w = worker_at(rig->e, 0);
	NOTICED(w->held[CLASS_NET]);
	NOTICED(w->withheld[CLASS_LIGHT]);
	NOTICED(w->capacity[CLASS_NET]);
	NOTICED(w->seats[CLASS_LIGHT].load);
	w->joined = false;
	assert_true(is_broken(rig));
	w->joined = true;
	assert_false(is_broken(rig));
	rig_close(rig);
}

static void a_miscounted_group_is_noticed(void **state)
{
	struct cast c;
	struct rig *rig = &c.rig;

	(void)state;
	open_cast(&c);
	NOTICED(c.group->settled);
	NOTICED(c.group->succeeded);
	c.group->made = 0;
	assert_true(is_broken(rig));
	c.group->made = 1;
	c.group->gone = true;
	assert_true(is_broken(rig));
	c.group->gone = false;
	rig->e->groups.bytes--;
	assert_true(is_broken(rig));
	rig->e->groups.bytes++;
	assert_false(is_broken(rig));
	rig_close(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_that_do_not_add_up_are_noticed),
		cmocka_unit_test(jobs_in_wrong_places_are_noticed),
		cmocka_unit_test(a_miscounted_worker_is_noticed),
		cmocka_unit_test(a_miscounted_group_is_noticed),
	};

	return TAP_RUN(tests);
}
