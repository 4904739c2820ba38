/* Runners, their options, and what a spawn notes. */
#include "async_check.h"
#include "keeper.h"
#include "tap_main.h"
#include <gather/runner.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct ga_run_options virtual_options = { .virtual_time = true };

static int return_arg(const void *arg)
{
	return *(const int *)arg;
}

static int sleep_for_hours(const void *unused GA_UNUSED)
{
	int64_t before = ga_now();

	EXPECT(before == GA_SECONDS(1));
	EXPECT(ga_sleep(GA_SECONDS(7200)) == 0);
	return ga_now() - before == GA_SECONDS(7200) ? 0 : -1;
}

static void in_virtual_time_hours_pass_at_once(void **state GA_UNUSED)
{
	struct timespec before, after;

	clock_gettime(CLOCK_MONOTONIC, &before);
	assert_int_equal(ga_run_with(sleep_for_hours, NULL, &virtual_options), 0);
	clock_gettime(CLOCK_MONOTONIC, &after);
	assert_true(after.tv_sec - before.tv_sec < 600);
}

static void without_options_it_is_ga_run(void **state GA_UNUSED)
{
	const int seven = 7;

	assert_int_equal(ga_run_with(return_arg, &seven, NULL), 7);
}

static int count_each_second(const void *arg)
{
	int *count = *(int *const *)arg;

	while (ga_sleep(GA_SECONDS(1)) == 0)
		++*count;
	*count += 1000;
	return 0;
}

static int leave_a_counter(const void *arg)
{
	ga_release(ga_spawn(count_each_second, arg));
	return ga_sleep(GA_MILLISECONDS(2500));
}

static int wait_two_seconds(const void *unused GA_UNUSED)
{
	return ga_sleep(GA_SECONDS(2));
}

static void tasks_live_between_runs_and_closing_joins_them(void **state GA_UNUSED)
{
	int count = 0, *at = &count;
	ga_runner *runner;

	assert_int_equal(ga_runner_new(&virtual_options, &runner), 0);
	assert_int_equal(ga_runner_run(runner, leave_a_counter, &at), 0);
	assert_int_equal(count, 2);
	assert_int_equal(ga_runner_run(runner, wait_two_seconds, NULL), 0);
	assert_int_equal(count, 4);
	assert_int_equal(ga_runner_close(runner), 0);
	assert_int_equal(count, 1004);
	assert_int_equal(ga_runner_close(NULL), 0);
}

static int misuse(const void *arg)
{
	ga_runner *runner = *(ga_runner *const *)arg, *other;
	const int nothing = 0;

	EXPECT(ga_runner_run(runner, return_arg, &nothing) == -EBUSY);
	EXPECT(ga_runner_close(runner) == -EBUSY);
	EXPECT(ga_runner_new(NULL, &other) == -EBUSY);
	EXPECT(ga_run(return_arg, &nothing) == -EBUSY);
	return 0;
}

static void a_runner_inside_a_run_is_refused(void **state GA_UNUSED)
{
	ga_runner *runner, *other;

	assert_int_equal(ga_runner_new(NULL, &runner), 0);
	assert_int_equal(ga_runner_new(NULL, &other), -EBUSY);
	assert_int_equal(ga_runner_run(runner, misuse, &runner), 0);
	assert_int_equal(ga_runner_close(runner), 0);
	assert_int_equal(ga_runner_new(NULL, &other), 0);
	assert_int_equal(ga_runner_close(other), 0);
}

static void *use_elsewhere(void *arg)
{
	const int seven = 7;

	return (void *)(intptr_t)(ga_runner_run(arg, return_arg, &seven) == -EPERM &&
				  ga_runner_close(arg) == -EPERM);
}

static void a_runner_belongs_to_its_thread(void **state GA_UNUSED)
{
	ga_runner *runner;
	pthread_t thread;
	void *ok;

	assert_int_equal(ga_runner_new(NULL, &runner), 0);
	assert_int_equal(pthread_create(&thread, NULL, use_elsewhere, runner), 0);
	assert_int_equal(pthread_join(thread, &ok), 0);
	assert_non_null(ok);
	assert_int_equal(ga_runner_close(runner), 0);
}

static int wait_for_nothing(const void *arg)
{
	GA_AUTO ga_future *never = ga_future_new();

	return *(int *)*(void *const *)arg = ga_await(never);
}

static void a_main_that_waits_for_nothing_is_cancelled_and_the_runner_goes_on(void **state GA_UNUSED)
{
	int seen = 0, *at = &seen;
	const int seven = 7;
	ga_runner *runner;

	signal(SIGINT, SIG_IGN); /* else main waits for that */
	assert_int_equal(ga_runner_new(NULL, &runner), 0);
	assert_int_equal(ga_runner_run(runner, wait_for_nothing, &at), -EDEADLK);
	assert_int_equal(seen, -ECANCELED);
	assert_int_equal(ga_runner_run(runner, return_arg, &seven), 7);
	assert_int_equal(ga_runner_close(runner), 0);
	signal(SIGINT, SIG_DFL);
}

static int interrupt_oneself(const void *arg)
{
	raise(SIGINT);
	return ga_sleep(*(const int64_t *)arg);
}

static void each_run_is_cancelled_by_its_first_sigint(void **state GA_UNUSED)
{
	const int64_t long_time = GA_SECONDS(1000);
	struct sigaction after;
	ga_runner *runner;

	assert_int_equal(ga_runner_new(NULL, &runner), 0);
	assert_int_equal(ga_runner_run(runner, interrupt_oneself, &long_time), -ECANCELED);
	assert_int_equal(ga_runner_run(runner, interrupt_oneself, &long_time), -ECANCELED);
	assert_int_equal(ga_runner_close(runner), 0);
	assert_int_equal(sigaction(SIGINT, NULL, &after), 0);
	assert_true(after.sa_handler == SIG_DFL);
}

/* ---- the seeded order ---- */

#define RUNNERS 8

struct race {
	int order[RUNNERS], count;
};

struct entrant {
	struct race *race;
	int number;
};

static int arrive(const void *arg)
{
	const struct entrant *e = arg;
	int r = ga_sleep(0);

	e->race->order[e->race->count++] = e->number;
	return r;
}

static int hold_race(const void *arg)
{
	struct race *race = *(struct race *const *)arg;
	struct entrant entrants[RUNNERS];
	ga_future *tasks[RUNNERS];
	int r;

	race->count = 0;
	for (int i = 0; i < RUNNERS; i++) {
		entrants[i] = (struct entrant){ race, i };
		tasks[i] = ga_spawn(arrive, &entrants[i]);
	}
	r = ga_gather(tasks, RUNNERS, 0);
	ga_release_all(tasks, RUNNERS);
	return r;
}

static void race_with(uint64_t seed, struct race *race)
{
	const struct ga_run_options options = { .seed = seed };

	assert_int_equal(ga_run_with(hold_race, &race, &options), 0);
	assert_int_equal(race->count, RUNNERS);
}

static void a_seed_draws_the_order_of_ready_tasks_and_draws_it_again(void **state GA_UNUSED)
{
	struct race plain, first, again;
	int moved = 0, seeds_that_differ = 0;

	race_with(0, &plain);
	for (int i = 0; i < RUNNERS; i++)
		assert_int_equal(plain.order[i], i);
	for (uint64_t seed = 1; seed <= 20; seed++) {
		unsigned seen = 0;

		race_with(seed, &first);
		race_with(seed, &again);
		assert_memory_equal(first.order, again.order, sizeof(first.order));
		for (int i = 0; i < RUNNERS; i++) {
			seen |= 1u << first.order[i];
			moved += first.order[i] != i;
		}
		assert_int_equal(seen, (1u << RUNNERS) - 1); /* each ran once */
		seeds_that_differ += memcmp(first.order, plain.order, sizeof(first.order)) != 0;
	}
	assert_true(moved > 0);
	assert_true(seeds_that_differ >= 19);
}

static int note_order(const void *arg)
{
	struct race *race = *(struct race *const *)arg;

	race->order[race->count++] = -1;
	return 0;
}

static void note_callback(ga_future *future GA_UNUSED, void *arg)
{
	const struct entrant *e = arg;

	e->race->order[e->race->count++] = e->number;
}

static int call_back_many(const void *arg)
{
	ga_future *done = ga_future_new();
	struct race *race = *(struct race *const *)arg;
	struct entrant entrants[RUNNERS];

	EXPECT(ga_resolve(done, 0, NULL) == 0);
	for (int i = 0; i < RUNNERS; i++) {
		entrants[i] = (struct entrant){ race, i };
		EXPECT(ga_on_done(done, note_callback, &entrants[i]) == 0);
	}
	ga_release(done);
	EXPECT(ga_sleep(0) == 0);
	return race->count == RUNNERS ? 0 : -1;
}

static void callbacks_keep_their_order_under_a_seed(void **state GA_UNUSED)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		const struct ga_run_options options = { .seed = seed };
		struct race race = { .count = 0 }, *at = &race;

		assert_int_equal(ga_run_with(call_back_many, &at, &options), 0);
		for (int i = 0; i < RUNNERS; i++)
			assert_int_equal(race.order[i], i);
	}
}

/* ---- names and places ---- */

CASE(a_task_has_the_name_of_its_function_and_the_place_of_its_spawn)
{
	const struct ga_spawn_options named = { .name = "arrival" }, unnamed = { .stack_bytes = 1 };
	struct race race = { .count = 0 }, *at = &race;
	const char *here = GA_HERE;
	GA_AUTO ga_future *plain = ga_spawn(note_order, &at);
	GA_AUTO ga_future *with_name = ga_spawn_with(note_order, &at, &named);
	GA_AUTO ga_future *with_options = ga_spawn_with(note_order, &at, &unnamed);
	GA_AUTO ga_future *literal = ga_spawn_with(note_order, &(struct race *){ at },
						   &(struct ga_spawn_options){ .eager = true });
	GA_AUTO ga_future *bare = ga_spawn_at(note_order, &at, NULL, NULL, NULL);
	GA_AUTO ga_future *sleep = ga_sleep_future(0);

	EXPECT(strcmp(ga_task_name(plain), "note_order") == 0);
	EXPECT(strncmp(ga_task_site(plain), "tests/unit/test_async_runner.c:", 31) == 0);
	EXPECT(abs(atoi(ga_task_site(plain) + 31) - atoi(here + 31)) == 1);
	EXPECT(strcmp(ga_task_name(with_name), "arrival") == 0);
	EXPECT(strcmp(ga_task_name(with_options), "note_order") == 0);
	EXPECT(strcmp(ga_task_name(literal), "note_order") == 0 && ga_done(literal));
	EXPECT(strcmp(ga_task_name(bare), "") == 0 && strcmp(ga_task_site(bare), "") == 0);
	EXPECT(strcmp(ga_task_name(sleep), "") == 0 && strcmp(ga_task_site(NULL), "") == 0);
	return ga_sleep(0);
}

static void close_nothing(struct kept *k GA_UNUSED)
{
}

CASE(all_tasks_are_those_that_have_not_ended)
{
	struct race race = { .count = 0 }, *at = &race;
	static struct kept kept;
	ga_future *tasks[4];
	GA_AUTO ga_future *a = ga_spawn(note_order, &at);
	GA_AUTO ga_future *b = ga_spawn(note_order, &at);

	EXPECT(keeper_add(&kept, close_nothing) == 0); /* a task of libgather's own, that isn't shown */
	EXPECT(ga_all_tasks(tasks, 4) == 3);
	EXPECT(tasks[0] == ga_self() && tasks[1] == a && tasks[2] == b);
	EXPECT(ga_all_tasks(tasks, 1) == 3);
	EXPECT(ga_all_tasks(NULL, 0) == 3);
	EXPECT(ga_await(a) == 0 && ga_await(b) == 0);
	EXPECT(ga_all_tasks(tasks, 4) == 1);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_virtual_time_hours_pass_at_once),
		cmocka_unit_test(without_options_it_is_ga_run),
		cmocka_unit_test(tasks_live_between_runs_and_closing_joins_them),
		cmocka_unit_test(a_runner_inside_a_run_is_refused),
		cmocka_unit_test(a_runner_belongs_to_its_thread),
		cmocka_unit_test(a_main_that_waits_for_nothing_is_cancelled_and_the_runner_goes_on),
		cmocka_unit_test(each_run_is_cancelled_by_its_first_sigint),
		cmocka_unit_test(a_seed_draws_the_order_of_ready_tasks_and_draws_it_again),
		cmocka_unit_test(callbacks_keep_their_order_under_a_seed),
		cmocka_unit_test(a_task_has_the_name_of_its_function_and_the_place_of_its_spawn),
		cmocka_unit_test(all_tasks_are_those_that_have_not_ended),
	};

	return TAP_RUN(tests);
}
