/* Task-local values. */
#include "async_check.h"
#include "locals.h"
#include "tap_main.h"
#include "task.h"
#include <gather/local.h>

static int zero, first = 1, second = 2, third = 3;
static const struct ga_local request = { .name = "request", .initial = &zero };
static const struct ga_local user = { .name = "user" };

CASE(what_was_never_set_is_the_initial_value)
{
	EXPECT(ga_local_get(&request) == &zero);
	EXPECT(ga_local_get(&user) == NULL);
	return 0;
}

CASE(what_was_set_is_read_across_suspensions)
{
	EXPECT(ga_local_set(&request, &first) == 0);
	EXPECT(ga_local_set(&user, &second) == 0);
	EXPECT(ga_sleep(GA_SECONDS(1)) == 0);
	EXPECT(ga_local_get(&request) == &first && ga_local_get(&user) == &second);
	EXPECT(ga_local_set(&request, NULL) == 0);
	EXPECT(ga_local_get(&request) == NULL);
	return 0;
}

static int read_request(const void *unused GA_UNUSED)
{
	return *(int *)ga_local_get(&request);
}

static int set_then_read(const void *arg)
{
	EXPECT(ga_local_get(&request) == &first);
	EXPECT(ga_local_set(&request, (void *)(uintptr_t)arg) == 0);
	EXPECT(ga_sleep(GA_SECONDS(1)) == 0);
	return read_request(NULL);
}

CASE(a_task_sees_what_its_spawner_had_at_that_time)
{
	GA_AUTO ga_future *before = ga_spawn(read_request, NULL);
	GA_AUTO ga_future *with = NULL;

	EXPECT(ga_local_set(&request, &first) == 0);
	with = ga_spawn(read_request, NULL);
	EXPECT(ga_local_set(&request, &second) == 0);
	EXPECT(ga_await(before) == 0 && ga_await(with) == 1);
	EXPECT(ga_local_get(&request) == &second);
	return 0;
}

CASE(what_a_task_sets_is_its_own)
{
	GA_AUTO ga_future *a = NULL, *b = NULL;

	EXPECT(ga_local_set(&request, &first) == 0);
	a = ga_spawn(set_then_read, &second);
	b = ga_spawn(set_then_read, &third);
	EXPECT(ga_await(a) == 2 && ga_await(b) == 3);
	EXPECT(ga_local_get(&request) == &first);
	return 0;
}

static int spawn_a_reader(const void *unused GA_UNUSED)
{
	GA_AUTO ga_future *t = ga_spawn(read_request, NULL);

	return ga_await(t);
}

CASE(they_are_inherited_over_generations_and_by_eager_tasks)
{
	const struct ga_spawn_options eager = { .eager = true };
	GA_AUTO ga_future *t = NULL, *now = NULL;

	EXPECT(ga_local_set(&request, &third) == 0);
	t = ga_spawn(spawn_a_reader, NULL);
	now = ga_spawn_with(read_request, NULL, &eager);
	EXPECT(ga_result(now, NULL) == 3);
	EXPECT(ga_await(t) == 3);
	return 0;
}

CASE(spawning_copies_nothing_until_one_sets)
{
	const struct locals *shared;
	GA_AUTO ga_future *t = NULL;

	EXPECT(task_current()->locals == NULL);
	EXPECT(ga_local_set(&request, &first) == 0);
	shared = task_current()->locals;
	EXPECT(ga_local_set(&request, &second) == 0 &&
	       task_current()->locals == shared); /* nobody else sees it */
	t = ga_spawn(read_request, NULL);
	EXPECT(task_of(t)->locals == shared && shared->refs == 2);
	EXPECT(ga_local_set(&request, &third) == 0 && task_current()->locals != shared);
	EXPECT(ga_await(t) == 2);
	return 0;
}

struct look {
	int *request, *user;
	int set;
};

static int look_on_a_thread(void *arg)
{
	struct look *look = arg;

	look->request = ga_local_get(&request);
	look->user = ga_local_get(&user);
	look->set = ga_local_set(&request, &third);
	return 0;
}

CASE(work_of_the_executor_reads_what_its_task_had_and_sets_nothing)
{
	struct look look = { 0 }, later = { 0 };
	GA_AUTO ga_future *work = NULL, *without = ga_executor(GA_POOL_IO, look_on_a_thread, &later);

	EXPECT(ga_await(without) == 0);
	EXPECT(later.request == &zero && later.user == NULL && later.set == -EPERM);
	EXPECT(ga_local_set(&request, &second) == 0);
	work = ga_executor(GA_POOL_IO, look_on_a_thread, &look);
	EXPECT(ga_local_set(&request, &first) == 0);
	EXPECT(ga_await(work) == 0);
	EXPECT(look.request == &second && look.user == NULL && look.set == -EPERM);
	EXPECT(ga_local_get(&request) == &first);
	EXPECT(task_current()->locals->refs == 1);
	return 0;
}

static void outside_of_a_task_nothing_is_set(void **state GA_UNUSED)
{
	assert_ptr_equal(ga_local_get(&request), &zero);
	assert_int_equal(ga_local_set(&request, &first), -EPERM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_never_set_is_the_initial_value),
		cmocka_unit_test(what_was_set_is_read_across_suspensions),
		cmocka_unit_test(a_task_sees_what_its_spawner_had_at_that_time),
		cmocka_unit_test(what_a_task_sets_is_its_own),
		cmocka_unit_test(they_are_inherited_over_generations_and_by_eager_tasks),
		cmocka_unit_test(spawning_copies_nothing_until_one_sets),
		cmocka_unit_test(work_of_the_executor_reads_what_its_task_had_and_sets_nothing),
		cmocka_unit_test(outside_of_a_task_nothing_is_set),
	};

	return TAP_RUN(tests);
}
