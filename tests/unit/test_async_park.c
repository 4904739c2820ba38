/* The way in which tasks suspend: deadlines, and cancels that meet a wake. */
#include "async_check.h"
#include "park_until.h"
#include "tap_main.h"

struct op {
	struct park_until wait;
	enum park_answer answer;
	int asked;
	bool revocable;
	int64_t deadline;
};

static enum park_answer on_abort(struct park *p)
{
	struct op *op = container_of(p, struct op, wait.park);

	op->asked++;
	return op->answer;
}

static int park(const void *arg)
{
	struct op *op = *(struct op *const *)arg;
	int r = park_begin(&op->wait.park, on_abort);

	if (r < 0)
		return r;
	op->wait.park.revocable = op->revocable;
	return park_wait_until(&op->wait, op->deadline);
}

static struct op op_until(int64_t deadline)
{
	return (struct op){ .answer = PARK_ABORTED, .deadline = deadline };
}

CASE(a_park_ends_at_its_deadline)
{
	struct op op = op_until(ga_now() + GA_SECONDS(3)), *at = &op;
	int64_t before = ga_now();

	EXPECT(park(&at) == -ETIMEDOUT);
	EXPECT(ga_now() - before == GA_SECONDS(3) && op.asked == 1);
	return 0;
}

CASE(a_wake_before_the_deadline_counts_and_stops_the_timer)
{
	struct op op = op_until(ga_now() + GA_SECONDS(3)), *at = &op;
	GA_AUTO ga_future *t = ga_spawn(park, &at);

	EXPECT(ga_sleep(GA_SECONDS(1)) == 0);
	park_wake(&op.wait.park, 7);
	EXPECT(ga_await(t) == 7);
	EXPECT(!heap_holds(&op.wait.timer.node) && op.asked == 0);
	return 0;
}

CASE(the_deadline_of_a_woken_task_that_hasnt_run_yet_is_too_late)
{
	struct op op = op_until(ga_now() + GA_SECONDS(3)), *at = &op;
	GA_AUTO ga_future *t = ga_spawn(park, &at);

	op.revocable = true;
	EXPECT(one_turn() == 0);
	park_wake(&op.wait.park, 7);
	op.wait.timer.fn(&op.wait.timer);
	EXPECT(ga_await(t) == 7 && op.asked == 0);
	return 0;
}

CASE(what_cant_be_undone_outlasts_its_deadline_and_a_cancel)
{
	struct op op = op_until(ga_now() + GA_SECONDS(3)), *at = &op;
	GA_AUTO ga_future *t = ga_spawn(park, &at);

	op.answer = PARK_CANNOT;
	EXPECT(ga_sleep(GA_SECONDS(5)) == 0);
	EXPECT(ga_cancel(t));
	EXPECT(one_turn() == 0);
	EXPECT(!ga_done(t) && op.asked == 1);
	park_wake(&op.wait.park, 7);
	EXPECT(ga_await(t) == 7);
	return 0;
}

CASE(a_cancel_between_wake_and_run_leaves_the_result)
{
	struct op op = op_until(GA_NEVER), *at = &op;
	GA_AUTO ga_future *t = ga_spawn(park, &at);

	EXPECT(one_turn() == 0);
	park_wake(&op.wait.park, 7);
	EXPECT(ga_cancel(t));
	EXPECT(ga_await(t) == 7 && op.asked == 0);
	return 0;
}

CASE(a_cancel_between_wake_and_run_revokes_the_result_where_that_is_wanted)
{
	struct op op = op_until(GA_NEVER), *at = &op;
	GA_AUTO ga_future *t = ga_spawn(park, &at);

	op.revocable = true;
	EXPECT(one_turn() == 0);
	park_wake(&op.wait.park, 7);
	EXPECT(ga_cancel(t));
	EXPECT(ga_await(t) == -ECANCELED && op.asked == 0);
	return 0;
}

CASE(a_cancel_revokes_no_error)
{
	struct op op = op_until(GA_NEVER), *at = &op;
	GA_AUTO ga_future *t = ga_spawn(park, &at);

	op.revocable = true;
	EXPECT(one_turn() == 0);
	park_wake(&op.wait.park, -EIO);
	EXPECT(ga_cancel(t));
	EXPECT(ga_await(t) == -EIO);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_park_ends_at_its_deadline),
		cmocka_unit_test(a_wake_before_the_deadline_counts_and_stops_the_timer),
		cmocka_unit_test(the_deadline_of_a_woken_task_that_hasnt_run_yet_is_too_late),
		cmocka_unit_test(what_cant_be_undone_outlasts_its_deadline_and_a_cancel),
		cmocka_unit_test(a_cancel_between_wake_and_run_leaves_the_result),
		cmocka_unit_test(a_cancel_between_wake_and_run_revokes_the_result_where_that_is_wanted),
		cmocka_unit_test(a_cancel_revokes_no_error),
	};

	return TAP_RUN(tests);
}
