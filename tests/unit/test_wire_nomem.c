/*
 * The two ends of the link without memory: they open or don't, leave nothing behind, and lose no record that they took.
 * The linker gives this program's own allocations to the functions below (--wrap); libzmq's aren't touched.
 */
#include "link_rig.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_reallocarray(void *old, size_t count, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_reallocarray(void *old, size_t count, size_t size);

static int allocations_left = INT32_MAX;

static bool granted(void)
{
	return allocations_left == INT32_MAX || allocations_left-- > 0;
}

void *__wrap_malloc(size_t size)
{
	return granted() ? __real_malloc(size) : NULL;
}

void *__wrap_calloc(size_t count, size_t size)
{
	return granted() ? __real_calloc(count, size) : NULL;
}

void *__wrap_realloc(void *old, size_t size)
{
	return granted() ? __real_realloc(old, size) : NULL;
}

void *__wrap_reallocarray(void *old, size_t count, size_t size)
{
	return granted() ? __real_reallocarray(old, count, size) : NULL;
}

static void an_end_opens_or_not(void **state)
{
	struct link *k = *state;
	int r = -ENOMEM, n;

	for (n = 0; r < 0; n++) {
		allocations_left = n;
		r = router_open(k->loop, k->path, &router_events, k, &k->router);
		allocations_left = INT32_MAX;
		assert_true(r == 0 || r == -ENOMEM);
	}
	assert_true(n > 1);
	for (n = 0, r = -ENOMEM; r < 0; n++) {
		allocations_left = n;
		r = dealer_open(k->loop, k->path, worker, &dealer_events, k, &k->dealer);
		allocations_left = INT32_MAX;
		assert_true(r == 0 || r == -ENOMEM);
	}
	assert_true(n > 1);
	run_until(k, is_connected);
}

static void a_record_is_taken_or_refused(void **state)
{
	struct link *k = *state;
	const struct record r = { .kind = RECORD_RESULT,
				  .ref = 1,
				  .result = { .outcome = OUTCOME_SUCCEEDED, .body = SPAN("done") } };
	int error = -ENOMEM, n;

	open_router(k);
	open_dealer(k, worker);
	run_until(k, is_connected);
	for (n = 0; error < 0; n++) {
		allocations_left = n;
		error = dealer_send(k->dealer, &r);
		allocations_left = INT32_MAX;
		assert_true(error == 0 || error == -ENOMEM);
	}
	assert_true(n > 1);
	run_until(k, heard_one);
	assert_int_equal(k->to_broker, 1); /* once: what was refused wasn't kept */
	assert_int_equal(k->disorder, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LINK_TEST(an_end_opens_or_not),
		LINK_TEST(a_record_is_taken_or_refused),
	};

	return TAP_RUN(tests);
}
