/* test_engine_children.c — jobs that attempts submit: they belong to it, and it gives its slot back while it waits. */
#include "engine_rig.h"

static int beget(struct rig *rig, uint64_t token, struct job **ret_child)
{
	struct submission s = {
		.job_class = CLASS_NET, .client = attempt_client(token), .tag = 7, .exempt = true
	};

	return engine_submit(rig->e, &s, ret_child);
}

static struct job *running_parent(struct rig *rig, uint32_t capacity)
{
	struct job *parent;

	rig_open(rig, (struct engine_options){ 0 });
	rig_worker(rig, 0, 1, capacity);
	parent = rig_job(rig);
	rig_turn(rig);
	assert_int_equal(parent->state, JOB_RUNNING);
	return parent;
}

static void children_are_cancelled_when_their_attempt_ends(void **state)
{
	struct job *parent, *running, *waiting, *other;
	struct rig rig;

	(void)state;
	for (int how = 0; how < 3; how++) {
		parent = running_parent(&rig, 3);
		assert_ptr_equal(engine_attempt(rig.e, parent->token), parent);
		assert_int_equal(beget(&rig, parent->token, &running), 0);
		other = rig_job(&rig);
		rig_turn(&rig);
		assert_int_equal(beget(&rig, parent->token, &waiting), 0);
		rig_turn(&rig);
		assert_int_equal(running->state, JOB_RUNNING);
		assert_int_equal(waiting->state, JOB_READY);
		if (how == 0)
			rig_succeed(&rig, parent);
		else if (how == 1)
			rig_fail(&rig, parent, true);
		else
			engine_worker_lost(rig.e, 0, 1, &(struct engine_death){ .asked = true });
		rig_turn(&rig);
		assert_true(running->cancelling || running->state == JOB_CANCELLED);
		assert_int_equal(waiting->state, JOB_CANCELLED);
		assert_int_equal(waiting->attempts, 0);
		assert_false(other->cancelling);
		rig_close(&rig);
	}
}

static void only_a_running_attempt_has_children(void **state)
{
	struct job *parent, *child = NULL;
	struct rig rig;
	struct submission s = { .job_class = CLASS_NET, .durability = DURABILITY_FSYNC };

	(void)state;
	parent = running_parent(&rig, 3);
	s.client = attempt_client(parent->token);
	assert_int_equal(engine_submit(rig.e, &s, &child), -EINVAL);
	assert_int_equal(beget(&rig, parent->token + 1, &child), -ESTALE);
	assert_int_equal(engine_cancel(rig.e, parent), 0);
	assert_int_equal(beget(&rig, parent->token, &child), -ESTALE);
	assert_null(child);
	rig_succeed(&rig, parent);
	rig_turn(&rig);
	assert_int_equal(beget(&rig, parent->token, &child), -ESTALE);
	rig_close(&rig);
}

static void a_child_can_be_cancelled_by_its_number(void **state)
{
	struct job *parent, *child;
	struct rig rig;

	(void)state;
	parent = running_parent(&rig, 1);
	assert_int_equal(beget(&rig, parent->token, &child), 0);
	assert_int_equal(engine_cancel_tag(rig.e, attempt_client(parent->token), 7), 1);
	assert_int_equal(child->state, JOB_CANCELLED);
	rig_turn(&rig);
	assert_int_equal(parent->state, JOB_RUNNING);
	rig_succeed(&rig, parent);
	rig_turn(&rig);
	rig_close(&rig);
}

/* A worker with one slot runs a parent and, while that waits, its child. */
static void a_parked_attempt_gives_its_slot_back(void **state)
{
	struct job *parent, *child, *next;
	struct rig rig;

	(void)state;
	parent = running_parent(&rig, 1);
	assert_int_equal(beget(&rig, parent->token, &child), 0);
	rig_turn(&rig);
	assert_int_equal(child->state, JOB_READY);
	engine_park(rig.e, 0, parent->token, true);
	engine_park(rig.e, 0, parent->token, true);  /* said twice */
	engine_park(rig.e, 1, parent->token, false); /* not its worker */
	rig_turn(&rig);
	assert_int_equal(child->state, JOB_RUNNING);
	rig_succeed(&rig, child);
	next = rig_job(&rig);
	rig_turn(&rig);
	assert_int_equal(next->state, JOB_RUNNING);
	engine_park(rig.e, 0, parent->token, false); /* goes on, though the slot is taken */
	rig_turn(&rig);
	rig_job(&rig);
	rig_turn(&rig);
	assert_int_equal(rig.count, 0);
	rig_succeed(&rig, parent);
	rig_turn(&rig);
	assert_int_equal(rig.count, 1); /* there is still one */
	rig_succeed(&rig, next);
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_DISPATCH, NULL), 1);
	rig_close(&rig);
}

static void a_parked_attempt_may_end_or_lose_its_worker(void **state)
{
	struct job *parent;
	struct rig rig;

	(void)state;
	for (int lost = 0; lost < 2; lost++) {
		parent = running_parent(&rig, 1);
		engine_park(rig.e, 0, parent->token, true);
		rig_turn(&rig);
		if (lost) {
			engine_worker_lost(rig.e, 0, 1, &(struct engine_death){ .asked = true });
			rig_worker(&rig, 0, 2, 1);
		} else {
			rig_succeed(&rig, parent);
		}
		rig_turn(&rig);
		assert_false(parent->parked);
		assert_int_equal(parent->state, lost ? JOB_RUNNING : JOB_SUCCEEDED);
		rig_job(&rig);
		rig_turn(&rig);
		assert_int_equal(rig_had(&rig, ACTION_DISPATCH, NULL), lost ? 0 : 1);
		rig_close(&rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(children_are_cancelled_when_their_attempt_ends),
		cmocka_unit_test(only_a_running_attempt_has_children),
		cmocka_unit_test(a_child_can_be_cancelled_by_its_number),
		cmocka_unit_test(a_parked_attempt_gives_its_slot_back),
		cmocka_unit_test(a_parked_attempt_may_end_or_lose_its_worker),
	};

	return TAP_RUN(tests);
}
