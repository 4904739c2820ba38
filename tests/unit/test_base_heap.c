#include "heap.h"
#include "random.h"
#include "tap_main.h"
#include <string.h>

struct item {
	struct heap_node node;
	int64_t due;
	uint64_t order; /* of the last heap_set(): breaks ties */
	bool inside;
};

static struct item *item_of(struct heap_node *node)
{
	return node ? container_of(node, struct item, node) : NULL;
}

static void an_empty_heap_has_nothing_due(void **state)
{
	struct heap h;
	struct heap_node outside = { 0 };

	(void)state;
	heap_init(&h);
	assert_true(heap_next_due(&h) == INT64_MAX);
	assert_null(heap_pop_due(&h, INT64_MAX));
	heap_remove(&h, &outside);
	assert_false(heap_holds(&outside));
	heap_done(&h);
	heap_done(&h);
}

static void a_node_stays_until_it_is_due(void **state)
{
	struct heap h;
	struct item item = { 0 };

	(void)state;
	heap_init(&h);
	assert_int_equal(heap_set(&h, &item.node, 10), 0);
	assert_true(heap_holds(&item.node));
	assert_null(heap_pop_due(&h, 9));
	assert_ptr_equal(heap_pop_due(&h, 10), &item.node);
	assert_false(heap_holds(&item.node));
	heap_done(&h);
}

static void equal_times_leave_in_order_of_insertion(void **state)
{
	struct item items[1000] = { 0 };
	struct heap h;

	(void)state;
	heap_init(&h);
	for (size_t i = 0; i < ARRAY_SIZE(items); i++)
		assert_int_equal(heap_set(&h, &items[i].node, 7), 0);
	/* Moved to the time it has: inserted anew, so it leaves last. */
	assert_int_equal(heap_set(&h, &items[0].node, 7), 0);
	for (size_t i = 1; i < ARRAY_SIZE(items); i++)
		assert_ptr_equal(heap_pop_due(&h, 7), &items[i].node);
	assert_ptr_equal(heap_pop_due(&h, 7), &items[0].node);
	assert_null(heap_pop_due(&h, 7));
	heap_done(&h);
}

static void extreme_times_are_ordered(void **state)
{
	static const int64_t dues[] = { 0, INT64_MAX, -1, INT64_MIN, 1 },
			     sorted[] = { INT64_MIN, -1, 0, 1, INT64_MAX };
	struct item items[5] = { 0 };
	struct heap h;

	(void)state;
	heap_init(&h);
	for (int i = 0; i < 5; i++)
		assert_int_equal(heap_set(&h, &items[i].node, dues[i]), 0);
	for (int i = 0; i < 5; i++) {
		assert_true(heap_next_due(&h) == sorted[i]);
		assert_non_null(heap_pop_due(&h, INT64_MAX));
	}
	heap_done(&h);
}

static struct item *model_first(struct item *items, size_t count)
{
	struct item *first = NULL;

	for (size_t i = 0; i < count; i++) {
		struct item *it = &items[i];

		if (it->inside && (!first || it->due < first->due ||
				   (it->due == first->due && it->order < first->order)))
			first = it;
	}
	return first;
}

static void model_pop(struct heap *h, struct item *items, size_t count, int64_t now)
{
	struct item *first = model_first(items, count);

	if (first && first->due > now)
		first = NULL;
	assert_ptr_equal(item_of(heap_pop_due(h, now)), first);
	if (first)
		first->inside = false;
}

static void it_does_what_a_sorted_list_does(void **state)
{
	struct item items[300] = { 0 };
	struct random r;
	struct heap h;
	uint64_t order = 0;

	(void)state;
	random_seed(&r, 42);
	heap_init(&h);
	for (int step = 0; step < 60000; step++) {
		struct item *it = &items[random_below(&r, ARRAY_SIZE(items))], *first;
		uint64_t what = random_below(&r, 10);

		if (what < 6) {
			it->due = (int64_t)random_below(&r, 50);
			it->order = order++;
			it->inside = true;
			assert_int_equal(heap_set(&h, &it->node, it->due), 0);
		} else if (what < 8) {
			it->inside = false;
			heap_remove(&h, &it->node);
		} else {
			model_pop(&h, items, ARRAY_SIZE(items), (int64_t)random_below(&r, 50));
		}
		assert_int_equal(heap_holds(&it->node), it->inside);
		first = model_first(items, ARRAY_SIZE(items));
		assert_true(heap_next_due(&h) == (first ? first->due : INT64_MAX));
	}
	heap_done(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_heap_has_nothing_due),
		cmocka_unit_test(a_node_stays_until_it_is_due),
		cmocka_unit_test(equal_times_leave_in_order_of_insertion),
		cmocka_unit_test(extreme_times_are_ordered),
		cmocka_unit_test(it_does_what_a_sorted_list_does),
	};

	return TAP_RUN(tests);
}
