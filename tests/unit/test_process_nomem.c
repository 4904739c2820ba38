/*
 * What processes promise for a failed allocation: -ENOMEM or NULL, no child left behind, and nothing of a conversation
 * lost. The linker gives this program's allocations to the functions below (--wrap).
 */
#include "process_check.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_reallocarray(void *old, size_t count, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_reallocarray(void *old, size_t count, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

#define ENOUGH INT32_MAX

static int allocations_left = ENOUGH;

/* All that come after the one that fails do, too. */
static bool granted(void)
{
	return allocations_left == ENOUGH || (allocations_left > 0 && allocations_left-- > 0);
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

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	return granted() ? __real_aligned_alloc(alignment, size) : NULL;
}

REAL_CASE(starting_fails_and_leaves_nothing)
{
	int r = -1, fds = count_descriptors(), n;
	ga_process *p;

	for (n = 0; r < 0; n++) {
		EXPECT(n < 100);
		allocations_left = n;
		r = start_shell("exit 3", &all_pipes, &p);
		allocations_left = ENOUGH;
		EXPECT(r == 0 || (r == -ENOMEM && !has_children() && count_descriptors() == fds));
	}
	EXPECT(n > 5); /* the process, three streams, the child's part */
	EXPECT(ga_process_wait(p, SOON) == 3);
	ga_process_free(p);
	return 0;
}

REAL_CASE(waiting_fails_and_leaves_the_process)
{
	GA_AUTO_PROCESS ga_process *p = NULL;
	int r = -1, n;

	EXPECT(start_shell("read x; exit 5", &all_pipes, &p) == 0);
	for (n = 0; n < 5; n++) {
		allocations_left = n;
		r = ga_process_wait(p, ga_now() + GA_MILLISECONDS(1));
		allocations_left = ENOUGH;
		EXPECT(r == -ETIMEDOUT || r == -ENOMEM);
		EXPECT(n > 0 || r == -ENOMEM);
	}
	allocations_left = 0;
	EXPECT(ga_process_future(p) == NULL);
	allocations_left = ENOUGH;
	EXPECT(r == -ETIMEDOUT);
	EXPECT(ga_stream_shutdown(ga_process_stdin(p)) == 0);
	EXPECT(ga_process_wait(p, SOON) == 5);
	allocations_left = 0;
	EXPECT(ga_process_wait(p, SOON) == 5); /* needs none any more */
	allocations_left = ENOUGH;
	return 0;
}

/* Each call gets a few allocations further than the one before, until the conversation is over. */
REAL_CASE(a_conversation_short_of_memory_goes_on_with_more)
{
	GA_AUTO_PROCESS ga_process *p = NULL;
	struct ga_output out, err;
	static char data[200000];
	int r = -1, n, failed = 0;

	memset(data, 'x', sizeof(data));
	EXPECT(start_shell("cat; echo end >&2; exit 3", &all_pipes, &p) == 0);
	for (n = 0; r < 0; n++) {
		EXPECT(n < 1000);
		allocations_left = n;
		r = ga_process_communicate(p, data, sizeof(data), sizeof(data), SOON, &out, &err);
		allocations_left = ENOUGH;
		EXPECT(r == 3 || r == -ENOMEM);
		failed += r == -ENOMEM;
	}
	EXPECT(failed > 3);
	EXPECT(out.size == sizeof(data) && !out.cut && !memcmp(out.data, data, sizeof(data)));
	EXPECT(!strcmp(err.data, "end\n"));
	ga_output_free(&out);
	ga_output_free(&err);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(starting_fails_and_leaves_nothing),
		cmocka_unit_test(waiting_fails_and_leaves_the_process),
		cmocka_unit_test(a_conversation_short_of_memory_goes_on_with_more),
	};

	return TAP_RUN(tests);
}
