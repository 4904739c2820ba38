/* The trees of `gather ps --tree`: who awaits whom. */
#include "ps.h"
#include "tap_main.h"
#include <stdlib.h>
#include <string.h>

#define MANY 100000

static struct ps_task parked(uint64_t id, const char *name, uint64_t awaits, uint64_t awaited_by)
{
	return (struct ps_task){ .info = { .id = id,
					   .state = GA_TASK_PARKED,
					   .name = name,
					   .site = "a.c:1",
					   .waits_for = awaits ? "task" : "sleep",
					   .awaits = awaits,
					   .awaited_by = awaited_by,
					   .since_ns = 1500000000 } };
}

static void expect_tree(const struct ps_task *tasks, size_t count, const char *expected)
{
	struct strbuf out = { 0 };

	ps_put_tree(&out, tasks, count);
	assert_string_equal(sb_string(&out), expected);
	sb_free(&out);
}

static void each_task_stands_below_the_one_that_awaits_it(void **state GA_UNUSED)
{
	const struct ps_task tasks[] = { parked(1, "main", 2, 0), parked(2, "fetch_all", 0, 0),
					 parked(3, "fetch", 0, 2), parked(4, "fetch", 0, 2),
					 parked(7, "other", 0, 0) };

	expect_tree(tasks, 5,
		    "1 main  task for 1.5s  a.c:1\n"
		    "└─ 2 fetch_all  sleep for 1.5s  a.c:1\n"
		    "   ├─ 3 fetch  sleep for 1.5s  a.c:1\n"
		    "   └─ 4 fetch  sleep for 1.5s  a.c:1\n"
		    "7 other  sleep for 1.5s  a.c:1\n");
}

static void lines_lead_down_to_later_siblings(void **state GA_UNUSED)
{
	const struct ps_task tasks[] = { parked(1, "main", 0, 0), parked(2, "one", 4, 1),
					 parked(3, "two", 5, 1), parked(4, "first", 0, 0),
					 parked(5, "second", 0, 0) };

	expect_tree(tasks, 5,
		    "1 main  sleep for 1.5s  a.c:1\n"
		    "├─ 2 one  task for 1.5s  a.c:1\n"
		    "│  └─ 4 first  sleep for 1.5s  a.c:1\n"
		    "└─ 3 two  task for 1.5s  a.c:1\n"
		    "   └─ 5 second  sleep for 1.5s  a.c:1\n");
}

static void a_ring_is_marked(void **state GA_UNUSED)
{
	const struct ps_task tasks[] = { parked(1, "a", 2, 0), parked(2, "b", 3, 0),
					 parked(3, "c", 1, 0) };
	const struct ps_task alone[] = { parked(1, "narcissus", 1, 1) };

	expect_tree(tasks, 3,
		    "1 a  task for 1.5s  a.c:1\n"
		    "└─ 2 b  task for 1.5s  a.c:1\n"
		    "   └─ 3 c  task for 1.5s  a.c:1\n"
		    "      └─ 1 a  awaits itself: a cycle\n");
	expect_tree(alone, 1,
		    "1 narcissus  task for 1.5s  a.c:1\n"
		    "├─ 1 narcissus  awaits itself: a cycle\n"
		    "└─ 1 narcissus  awaits itself: a cycle\n");
}

static void a_ring_that_somebody_waits_for_is_drawn_below_them(void **state GA_UNUSED)
{
	const struct ps_task tasks[] = { parked(1, "a", 2, 0), parked(2, "b", 1, 0),
					 parked(3, "c", 1, 0) };

	expect_tree(tasks, 3,
		    "3 c  task for 1.5s  a.c:1\n"
		    "└─ 1 a  task for 1.5s  a.c:1\n"
		    "   └─ 2 b  task for 1.5s  a.c:1\n"
		    "      └─ 1 a  awaits itself: a cycle\n");
}

static void what_two_tasks_await_is_drawn_once(void **state GA_UNUSED)
{
	const struct ps_task tasks[] = { parked(1, "a", 3, 0), parked(2, "b", 3, 0),
					 parked(3, "c", 4, 0), parked(4, "d", 0, 0) };

	expect_tree(tasks, 4,
		    "1 a  task for 1.5s  a.c:1\n"
		    "└─ 3 c  task for 1.5s  a.c:1\n"
		    "   └─ 4 d  sleep for 1.5s  a.c:1\n"
		    "2 b  task for 1.5s  a.c:1\n"
		    "└─ 3 c  (drawn above)\n");
}

static void edges_to_tasks_that_are_not_there_are_left_out(void **state GA_UNUSED)
{
	const struct ps_task tasks[] = { parked(5, "a", 99, 98) };

	expect_tree(tasks, 1, "5 a  task for 1.5s  a.c:1\n");
	expect_tree(NULL, 0, "");
}

static void a_chain_may_be_as_long_as_there_are_tasks(void **state GA_UNUSED)
{
	struct ps_task *tasks = calloc(MANY, sizeof(*tasks));
	struct strbuf out = { 0 };
	size_t lines = 0;

	assert_non_null(tasks);
	for (size_t i = 0; i < MANY; i++)
		tasks[i] = parked(i + 1, "link", i + 1 < MANY ? i + 2 : 0, i);
	ps_put_tree(&out, tasks, MANY);
	for (size_t i = 0; i < out.size; i++)
		lines += out.data[i] == '\n';
	assert_in_range(lines, MANY, 2 * MANY); /* a link is awaited in two ways, and drawn in full once */
	assert_true(out.size < (size_t)MANY * 600);
	sb_free(&out);
	free(tasks);
}

static void times_are_short(void **state GA_UNUSED)
{
	static const struct {
		int64_t ns;
		const char *text;
	} times[] = {
		{ 0, "0.0s" },
		{ 59990000000, "59.9s" },
		{ 250000000000, "4m10s" },
		{ 10920000000000, "3h02m" },
		{ 457200000000000, "5d07h" },
	};

	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		struct strbuf out = { 0 };

		ps_put_time(&out, times[i].ns);
		assert_string_equal(sb_string(&out), times[i].text);
		sb_free(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_task_stands_below_the_one_that_awaits_it),
		cmocka_unit_test(lines_lead_down_to_later_siblings),
		cmocka_unit_test(a_ring_is_marked),
		cmocka_unit_test(a_ring_that_somebody_waits_for_is_drawn_below_them),
		cmocka_unit_test(what_two_tasks_await_is_drawn_once),
		cmocka_unit_test(edges_to_tasks_that_are_not_there_are_left_out),
		cmocka_unit_test(a_chain_may_be_as_long_as_there_are_tasks),
		cmocka_unit_test(times_are_short),
	};

	return TAP_RUN(tests);
}
