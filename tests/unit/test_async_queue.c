/* asyncio.Queue, LifoQueue, PriorityQueue: order, bounds, and whose turn it is. */
#include "queue_check.h"

CASE(items_leave_in_the_order_of_their_coming)
{
	QUEUE *q = queue_of(GA_FIFO, 0);

	EXPECT(put_all(q, "cab") == 0);
	EXPECT(ga_queue_size(q) == 3);
	EXPECT(gives(q, "cab"));
	EXPECT(ga_queue_empty(q));
	return 0;
}

CASE(a_lifo_gives_the_newest_first)
{
	QUEUE *q = queue_of(GA_LIFO, 0);

	EXPECT(put_all(q, "abc") == 0);
	EXPECT(next(q) == 'c');
	EXPECT(put_all(q, "d") == 0);
	EXPECT(gives(q, "dba?"));
	return 0;
}

/* Vowels before consonants, otherwise equal. */
static int vowels_first(const void *a, const void *b)
{
	bool vowel_a = strchr("aeiou", *(const char *)a) != NULL;
	bool vowel_b = strchr("aeiou", *(const char *)b) != NULL;

	return (int)vowel_b - (int)vowel_a;
}

CASE(a_priority_queue_gives_the_smallest_first_and_equals_in_order_of_arrival)
{
	struct ga_queue_options options = { .order = GA_PRIORITY, .compare = vowels_first };
	QUEUE *q = NULL;

	EXPECT(ga_queue_new(&options, &q) == 0);
	EXPECT(put_all(q, "zyxwuvtsoqprie") == 0);
	for (const char *c = "uoiezyxwvtsqpr"; *c; c++)
		EXPECT(next(q) == *c);
	return 0;
}

static int by_address(const void *a, const void *b)
{
	return (a > b) - (a < b);
}

/* Puts and takes at random, against a model that is a sorted (or plain) array. */
static int compare_with_a_model(enum ga_queue_order order)
{
	struct ga_queue_options options = { .order = order, .compare = by_address };
	char *model[1000], *base = (char *)model;
	size_t count = 0;
	uint32_t random = 1;
	QUEUE *q = NULL;

	EXPECT(ga_queue_new(&options, &q) == 0);
	for (int step = 0; step < 20000; step++) {
		random = random * 1664525u + 1013904223u;
		if (count < 1000 && (count == 0 || random >> 31)) {
			char *new = base + (random >> 8 & 511);
			size_t place = count;

			EXPECT(ga_queue_put_now(q, new) == 0);
			while (order == GA_PRIORITY && place > 0 && model[place - 1] > new)
				place--;
			memmove(&model[place + 1], &model[place], (count++ - place) * sizeof(*model));
			model[place] = new;
		} else {
			size_t place = order == GA_LIFO ? count - 1 : 0;
			void *got;

			EXPECT(ga_queue_get_now(q, &got) == 0);
			EXPECT(got == model[place]);
			memmove(&model[place], &model[place + 1], (--count - place) * sizeof(*model));
		}
		EXPECT(ga_queue_size(q) == count);
	}
	return 0;
}

CASE(thousands_of_items_keep_their_order)
{
	EXPECT(compare_with_a_model(GA_FIFO) == 0);
	EXPECT(compare_with_a_model(GA_LIFO) == 0);
	EXPECT(compare_with_a_model(GA_PRIORITY) == 0);
	return 0;
}

CASE(an_item_may_be_null)
{
	QUEUE *q = queue_of(GA_FIFO, 0);
	void *got = q;

	EXPECT(ga_queue_put(q, NULL, GA_NEVER) == 0);
	EXPECT(ga_queue_size(q) == 1);
	EXPECT(ga_queue_get(q, GA_NEVER, &got) == 0 && got == NULL);
	return 0;
}

static void options_are_checked(void **state GA_UNUSED)
{
	struct ga_queue_options bad = { .order = (enum ga_queue_order)3 },
				priority = { .order = GA_PRIORITY };
	ga_queue *q = NULL;

	assert_int_equal(ga_queue_new(&bad, &q), -EINVAL);
	assert_int_equal(ga_queue_new(&priority, &q), -EINVAL);
	assert_null(q);
	assert_int_equal(ga_queue_new(NULL, &q), 0);
	assert_int_equal(ga_queue_max(q), 0);
	ga_queue_free(q);
	ga_queue_free(NULL);
}

static void outside_of_a_task_only_what_cant_wait_works(void **state GA_UNUSED)
{
	ga_queue *q = queue_of(GA_FIFO, 0);
	void *got;

	assert_int_equal(ga_queue_put(q, NULL, GA_NEVER), -EPERM);
	assert_int_equal(ga_queue_put_now(q, NULL), 0);
	assert_int_equal(ga_queue_get(q, GA_NEVER, &got), -EPERM);
	assert_int_equal(ga_queue_join(q, GA_NEVER), -EPERM);
	assert_int_equal(ga_queue_get_now(q, &got), 0);
	ga_queue_free(q);
}

/* ---- bounds ---- */

CASE(a_full_queue_takes_no_more_now)
{
	QUEUE *q = queue_of(GA_FIFO, 2);

	EXPECT(ga_queue_max(q) == 2 && !ga_queue_full(q));
	EXPECT(put_all(q, "ab") == 0);
	EXPECT(ga_queue_full(q));
	EXPECT(ga_queue_put_now(q, item('c')) == -EAGAIN);
	EXPECT(ga_queue_put(q, item('c'), 0) == -ETIMEDOUT);
	EXPECT(ga_queue_size(q) == 2);
	EXPECT(next(q) == 'a');
	EXPECT(ga_queue_put(q, item('c'), 0) == 0); /* a past deadline, but there is room */
	EXPECT(gives(q, "bc"));
	return 0;
}

CASE(a_queue_without_a_bound_is_never_full)
{
	QUEUE *q = queue_of(GA_FIFO, 0);

	for (int i = 0; i < 1000; i++)
		EXPECT(ga_queue_put_now(q, NULL) == 0);
	EXPECT(!ga_queue_full(q) && ga_queue_size(q) == 1000);
	return 0;
}

CASE(an_empty_queue_gives_nothing_now)
{
	QUEUE *q = queue_of(GA_FIFO, 0);
	void *got;

	EXPECT(ga_queue_get_now(q, &got) == -EAGAIN);
	EXPECT(ga_queue_get(q, 0, &got) == -ETIMEDOUT);
	EXPECT(ga_queue_get(q, ga_now() + GA_SECONDS(1), &got) == -ETIMEDOUT);
	EXPECT(put_all(q, "a") == 0);
	EXPECT(ga_queue_get(q, 0, &got) == 0 && got == item('a'));
	return 0;
}

CASE(putters_wait_for_room_in_the_order_of_their_coming)
{
	QUEUE *q = queue_of(GA_FIFO, 1);
	struct order order = { 0 };
	struct actor actors[4];
	ga_future *tasks[4];

	start(put, q, &order, actors, "abcd", tasks);
	EXPECT(settle() == 0);
	EXPECT(was(&order, "a"));
	for (const char *c = "abcd"; *c; c++) {
		EXPECT(next(q) == *c);
		EXPECT(settle() == 0);
	}
	EXPECT(was(&order, "abcd"));
	ga_release_all(tasks, 4);
	return 0;
}

CASE(getters_wait_for_items_in_the_order_of_their_coming)
{
	QUEUE *q = queue_of(GA_FIFO, 0);
	struct order order = { 0 };
	struct actor actors[3];
	ga_future *tasks[3];

	start(get, q, &order, actors, "xyz", tasks);
	EXPECT(settle() == 0);
	EXPECT(put_all(q, "abc") == 0);
	EXPECT(ga_gather(tasks, 3, 0) == 0);
	EXPECT(was(&order, "xaybzc"));
	ga_release_all(tasks, 3);
	return 0;
}

CASE(nobody_takes_the_item_that_a_getter_was_woken_for)
{
	QUEUE *q = queue_of(GA_FIFO, 0);
	struct order order = { 0 };
	struct actor a;
	ga_future *t;
	void *got;

	start(get, q, &order, &a, "x", &t);
	EXPECT(settle() == 0);
	EXPECT(put_all(q, "a") == 0);
	EXPECT(ga_queue_size(q) == 1);
	EXPECT(ga_queue_get_now(q, &got) == -EAGAIN);
	EXPECT(ga_queue_get(q, ga_now() + GA_SECONDS(1), &got) == -ETIMEDOUT);
	EXPECT(was(&order, "xa"));
	ga_release(t);
	return 0;
}

CASE(nobody_takes_the_room_that_a_putter_was_woken_for)
{
	QUEUE *q = queue_of(GA_FIFO, 1);
	struct order order = { 0 };
	struct actor a;
	ga_future *t;

	EXPECT(put_all(q, "z") == 0);
	start(put, q, &order, &a, "a", &t);
	EXPECT(settle() == 0);
	EXPECT(next(q) == 'z');
	EXPECT(ga_queue_put_now(q, item('b')) == -EAGAIN);
	EXPECT(ga_queue_put(q, item('b'), ga_now() + GA_SECONDS(1)) == -ETIMEDOUT);
	EXPECT(was(&order, "a") && next(q) == 'a' && ga_queue_empty(q));
	ga_release(t);
	return 0;
}

CASE(a_woken_getter_takes_what_is_next_when_it_runs)
{
	struct ga_queue_options options = { .order = GA_PRIORITY, .compare = by_address };
	struct order order = { 0 };
	struct actor a;
	ga_future *t;
	QUEUE *q = NULL;

	EXPECT(ga_queue_new(&options, &q) == 0);
	start(get, q, &order, &a, "x", &t);
	EXPECT(settle() == 0);
	EXPECT(put_all(q, "ba") == 0);
	EXPECT(ga_await(t) == 0);
	EXPECT(was(&order, "xa") && next(q) == 'b');
	ga_release(t);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(items_leave_in_the_order_of_their_coming),
		cmocka_unit_test(a_lifo_gives_the_newest_first),
		cmocka_unit_test(a_priority_queue_gives_the_smallest_first_and_equals_in_order_of_arrival),
		cmocka_unit_test(thousands_of_items_keep_their_order),
		cmocka_unit_test(an_item_may_be_null),
		cmocka_unit_test(options_are_checked),
		cmocka_unit_test(outside_of_a_task_only_what_cant_wait_works),
		cmocka_unit_test(a_full_queue_takes_no_more_now),
		cmocka_unit_test(a_queue_without_a_bound_is_never_full),
		cmocka_unit_test(an_empty_queue_gives_nothing_now),
		cmocka_unit_test(putters_wait_for_room_in_the_order_of_their_coming),
		cmocka_unit_test(getters_wait_for_items_in_the_order_of_their_coming),
		cmocka_unit_test(nobody_takes_the_item_that_a_getter_was_woken_for),
		cmocka_unit_test(nobody_takes_the_room_that_a_putter_was_woken_for),
		cmocka_unit_test(a_woken_getter_takes_what_is_next_when_it_runs),
	};

	return TAP_RUN(tests);
}
