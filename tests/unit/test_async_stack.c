/* Stacks: classes, reuse, guards, budget; an overflow is reported by the task's name. */
#include "async_check.h"
#include "stack.h"
#include "tap_main.h"
#include <execinfo.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct stacks_options by_mprotect = { .by_mprotect = true };
static const struct stacks_options three_by_mprotect = { .by_mprotect = true, .budget = 3 };

static const struct stacks_options *const kinds[] = { NULL, &by_mprotect };

/* A test that must hold on guards of either kind. */
#define ON_BOTH(name, fn)                                                                          \
	static void name(void **state GA_UNUSED)                                                   \
	{                                                                                          \
		for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)                                     \
			fn(kinds[i]);                                                              \
	}

static void sizes(const struct stacks_options *kind)
{
	static const struct {
		size_t bytes;
		uint32_t slot;
	} cases[] = { { 0, 65536 },     { 1, 16384 },      { 16384, 16384 },  { 16385, 65536 },
		      { 65536, 65536 }, { 65537, 262144 }, { 262144, 262144 } };
	struct stacks *s;
	struct stack stack;

	assert_int_equal(stacks_new(kind, &s), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(stacks_take(s, cases[i].bytes, &stack), 0);
		assert_int_equal(stack.size, cases[i].slot - (uint32_t)getpagesize());
		memset(stack.base, 0x55, stack.size);
		stacks_give(s, &stack);
	}
	assert_int_equal(stacks_take(s, 262145, &stack), -EINVAL);
	stacks_free(s);
}

ON_BOTH(a_stack_has_the_size_of_its_class_less_a_guard, sizes)

static void reuse(const struct stacks_options *kind)
{
	struct stacks *s;
	struct stack first, second, again;

	assert_int_equal(stacks_new(kind, &s), 0);
	assert_int_equal(stacks_take(s, 0, &first), 0);
	assert_int_equal(stacks_take(s, 0, &second), 0);
	assert_ptr_not_equal(first.base, second.base);
	stacks_give(s, &first);
	stacks_give(s, &second);
	assert_int_equal(stacks_take(s, 0, &again), 0);
	assert_ptr_equal(again.base, second.base);
	assert_int_equal(stacks_take(s, 0, &again), 0);
	assert_ptr_equal(again.base, first.base);
	stacks_free(s);
}

ON_BOTH(the_stack_given_back_last_is_used_first, reuse)

static void cool_down(const struct stacks_options *kind)
{
	static struct stack stacks[WARM_STACKS + 1];
	struct stack *last = &stacks[WARM_STACKS];
	struct stacks *s;

	assert_int_equal(stacks_new(kind, &s), 0);
	for (size_t i = 0; i <= WARM_STACKS; i++)
		assert_int_equal(stacks_take(s, 0, &stacks[i]), 0);
	last->base[last->size - 1] = 1;
	for (size_t i = 0; i <= WARM_STACKS; i++)
		stacks_give(s, &stacks[i]);
	assert_int_equal(last->base[last->size - 1], 0);
	for (size_t i = 0; i <= WARM_STACKS; i++)
		assert_int_equal(stacks_take(s, 0, &stacks[i]), 0);
	assert_ptr_equal(last->base, stacks[WARM_STACKS].base);
	stacks_free(s);
}

ON_BOTH(beyond_the_warm_ones_a_stack_gives_its_pages_back, cool_down)

static void over_the_budget_there_is_no_stack_rather_than_an_unguarded_one(void **state GA_UNUSED)
{
	struct stacks *s;
	struct stack stack[3], more;

	assert_int_equal(stacks_new(&three_by_mprotect, &s), 0);
	assert_true(stacks_use_mprotect(s));
	for (int i = 0; i < 3; i++)
		assert_int_equal(stacks_take(s, (size_t)i * 40000, &stack[i]), 0);
	assert_int_equal(stacks_take(s, 0, &more), -EAGAIN);
	stacks_give(s, &stack[0]);
	assert_int_equal(stacks_take(s, 0, &more), 0);
	stacks_free(s);
}

static void a_guard_is_found_and_nothing_else_is(void **state GA_UNUSED)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct stacks *s;
		struct stack stack, found;

		assert_int_equal(stacks_new(kinds[i], &s), 0);
		assert_int_equal(stacks_take(s, 0, &stack), 0);
		assert_true(stacks_find_guard(s, stack.base - 1, &found));
		assert_ptr_equal(found.base, stack.base);
		assert_true(stacks_find_guard(s, stack.base - getpagesize(), &found));
		assert_false(stacks_find_guard(s, stack.base, &found));
		assert_false(stacks_find_guard(s, stack.base - getpagesize() - 1, &found));
		assert_false(stacks_find_guard(s, stack.base + stack.size, &found)); /* not made yet */
		assert_false(stacks_find_guard(s, &stack, &found));
		stacks_free(s);
	}
}

/* Runs fn in a child whose standard error comes back as text; its wait status. */
static int in_child(void (*fn)(void), char *ret_text, size_t size)
{
	int fds[2], status;
	size_t used = 0;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		const struct rlimit none = { 0, 0 };

		setrlimit(RLIMIT_CORE, &none);
		dup2(fds[1], STDERR_FILENO);
		close(fds[0]);
		close(fds[1]);
		signal(SIGSEGV, SIG_DFL); /* cmocka has a handler of its own */
		fn();
		_exit(0);
	}
	close(fds[1]);
	while (used < size - 1 && (n = read(fds[0], ret_text + used, size - 1 - used)) > 0)
		used += (size_t)n;
	ret_text[used] = '\0';
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static const struct stacks_options *chosen;

static void touch_the_guard(void)
{
	struct stacks *s;
	struct stack stack;

	if (stacks_new(chosen, &s) < 0 || stacks_take(s, 0, &stack) < 0)
		_exit(1);
	*(volatile char *)(stack.base - 1) = 1;
}

static void touching_a_guard_is_a_segmentation_fault(void **state GA_UNUSED)
{
	char text[256];

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		int status;

		chosen = kinds[i];
		status = in_child(touch_the_guard, text, sizeof(text));
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGSEGV);
	}
}

static volatile int deepest = 1 << 30;

static int recurse(int n)
{
	volatile char frame[256];

	frame[0] = (char)n;
	return n < deepest ? recurse(n + 1) + frame[0] : 0;
}

static int overflow(const void *unused GA_UNUSED)
{
	return recurse(0);
}

static int park_for_ever(const void *unused GA_UNUSED)
{
	return ga_sleep(GA_NEVER);
}

static ga_future *(*spawn_it)(void);

static ga_future *spawn_recursive(void)
{
	const struct ga_spawn_options options = { .name = "recursive", .stack_bytes = 16384 };

	return ga_spawn_with(overflow, NULL, &options);
}

static ga_future *spawn_plainly(void)
{
	return ga_spawn(overflow, NULL);
}

static ga_future *spawn_large(void)
{
	const struct ga_spawn_options options = { .stack_bytes = STACK_MAX_BYTES };

	return ga_spawn_at(overflow, NULL, &options, NULL, "large.c:7");
}

static ga_future *spawn_unknown(void)
{
	return ga_spawn_at(overflow, NULL, NULL, NULL, NULL);
}

static int await_overflow(const void *unused GA_UNUSED)
{
	GA_AUTO ga_future *neighbour = ga_spawn_at(park_for_ever, NULL, NULL, "neighbour", "x.c:1");

	EXPECT(one_turn() == 0);
	return ga_await(spawn_it());
}

static void run_overflow(void)
{
	(void)run_virtual_on(chosen, await_overflow, NULL);
}

static void an_overflow_ends_the_process_and_tells_the_task_and_its_place(void **state GA_UNUSED)
{
	static const struct {
		ga_future *(*spawn)(void);
		const char *told, *advice;
	} cases[] = {
		{ spawn_recursive, "stack overflow in task recursive, spawned at " __FILE__ ":",
		  "spawn it with 64 KiB" },
		{ spawn_plainly, "stack overflow in task overflow, spawned at " __FILE__ ":",
		  "spawn it with 256 KiB" },
		{ spawn_large, "stack overflow in task (unnamed), spawned at large.c:7: ",
		  "256 KiB, the most there is" },
		{ spawn_unknown, "stack overflow in task (unnamed): ", "spawn it with 256 KiB" },
	};
	static char text[65536];

	for (size_t i = 0; i < ARRAY_SIZE(kinds) * ARRAY_SIZE(cases); i++) {
		int status;

		chosen = kinds[i % ARRAY_SIZE(kinds)];
		spawn_it = cases[i / ARRAY_SIZE(kinds)].spawn;
		status = in_child(run_overflow, text, sizeof(text));
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
		assert_non_null(strstr(text, cases[i / ARRAY_SIZE(kinds)].told));
		assert_non_null(strstr(text, cases[i / ARRAY_SIZE(kinds)].advice));
		assert_null(strstr(text, "neighbour"));
	}
}

static char *volatile nowhere = (char *)(uintptr_t)8;

static void crash(void)
{
	*nowhere = 1;
}

static int crash_in_a_task(const void *unused GA_UNUSED)
{
	crash();
	return 0;
}

static void run_crash(void)
{
	(void)run_virtual_on(chosen, crash_in_a_task, NULL);
}

static void another_fault_is_not_called_an_overflow(void **state GA_UNUSED)
{
	static char text[65536];

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		int status;

		chosen = kinds[i];
		status = in_child(run_crash, text, sizeof(text));
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
		assert_null(strstr(text, "libgather: stack overflow"));
	}
}

extern const char context_start[] __attribute__((weak)); /* the assembly's; without it there is none */

static int trace(int depth)
{
	void *frames[64];
	const char *last;
	int n;

	if (depth > 0)
		return trace(depth - 1) + 0 * depth;
	n = backtrace(frames, 64);
	last = frames[n - 1];
	EXPECT(n >= 2 && n < 20);
	if (context_start)
		EXPECT(last >= context_start && last < context_start + 64);
	return 0;
}

static int trace_in_a_task(const void *unused GA_UNUSED)
{
	return trace(3);
}

/* Else an unwinder would run on into whatever lies above. */
static void a_backtrace_ends_at_the_tasks_first_frame(void **state GA_UNUSED)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		assert_int_equal(run_virtual_on(kinds[i], trace_in_a_task, NULL), 0);
}

/* The main task holds one of the three. */
static int spawn_beyond_the_budget(const void *unused GA_UNUSED)
{
	ga_future *f[4];

	for (int i = 0; i < 4; i++)
		f[i] = ga_spawn(park_for_ever, NULL);
	EXPECT(ga_await(f[2]) == -EAGAIN);
	EXPECT(ga_await(f[3]) == -EAGAIN);
	EXPECT(ga_cancel(f[0]) && ga_cancel(f[1]));
	EXPECT(ga_await(f[0]) == -ECANCELED && ga_await(f[1]) == -ECANCELED);
	ga_release_all(f, 4);
	return 0;
}

static void a_task_without_a_stack_ends_with_eagain(void **state GA_UNUSED)
{
	assert_int_equal(run_virtual_on(&three_by_mprotect, spawn_beyond_the_budget, NULL), 0);
}

#if defined(__SANITIZE_THREAD__)
#define NEEDS_MAPPINGS true /* ThreadSanitizer itself, and dies without */
#elif defined(__has_feature)
#define NEEDS_MAPPINGS __has_feature(thread_sanitizer)
#else
#define NEEDS_MAPPINGS false
#endif

/* Splits a mapping until the process may have no more of them, and gives a few back for others. */
static bool use_up_mappings(void)
{
	size_t page = (size_t)getpagesize(), limit = 1 << 18;
	char *at = mmap(NULL, limit * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			-1, 0);
	size_t n = 0;

	if (at == MAP_FAILED)
		return false;
	while (n < limit && mprotect(at + n * page, page, PROT_READ) == 0)
		n += 2;
	for (int i = 0; i < 10 && n >= 2 && n < limit; i++, n -= 2)
		(void)mprotect(at + (n - 2) * page, page, PROT_NONE);
	return n > 0 && n < limit;
}

static int spawn_beyond_the_kernels_limit(const void *unused GA_UNUSED)
{
	ga_future *f[200];
	int refused = 0;

	if (NEEDS_MAPPINGS || !use_up_mappings())
		return 77;
	for (int i = 0; i < 200; i++)
		f[i] = ga_spawn(park_for_ever, NULL);
	EXPECT(one_turn() == 0);
	for (int i = 0; i < 200; i++) {
		EXPECT(!ga_done(f[i]) || ga_result(f[i], NULL) == -EAGAIN);
		refused += ga_done(f[i]);
	}
	return refused;
}

static int refused_at_the_limit(const struct stacks_options *kind)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(run_virtual_on(kind, spawn_beyond_the_kernels_limit, NULL) & 255);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* vm.max_map_count itself, used up by something else: the budget doesn't know. */
static void without_mappings_for_guards_a_task_ends_with_eagain(void **state GA_UNUSED)
{
	struct stacks *s;
	bool by_mprotect_anyway;
	int refused = refused_at_the_limit(&by_mprotect);

	if (refused == 77)
		TAP_SKIP("the mappings can't be used up here");
	assert_in_range(refused, 150, 199);
	assert_int_equal(stacks_new(NULL, &s), 0);
	by_mprotect_anyway = stacks_use_mprotect(s);
	stacks_free(s);
	if (!by_mprotect_anyway)
		assert_int_equal(refused_at_the_limit(NULL), 0); /* MADV_GUARD_INSTALL needs none */
}

static int many_tasks(const void *unused GA_UNUSED)
{
	ga_future *f[500];

	for (int i = 0; i < 500; i++)
		f[i] = ga_spawn(park_for_ever, NULL);
	EXPECT(ga_wait(f, 500, GA_FIRST_COMPLETED, ga_now() + 1) == 0);
	for (int i = 0; i < 500; i++)
		ga_cancel(f[i]);
	EXPECT(ga_gather(f, 500, GA_RETURN_EXCEPTIONS) == 0);
	ga_release_all(f, 500);
	return 0;
}

static void many_tasks_run_on_guards_of_either_kind(void **state GA_UNUSED)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		assert_int_equal(run_virtual_on(kinds[i], many_tasks, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stack_has_the_size_of_its_class_less_a_guard),
		cmocka_unit_test(the_stack_given_back_last_is_used_first),
		cmocka_unit_test(beyond_the_warm_ones_a_stack_gives_its_pages_back),
		cmocka_unit_test(over_the_budget_there_is_no_stack_rather_than_an_unguarded_one),
		cmocka_unit_test(a_guard_is_found_and_nothing_else_is),
		cmocka_unit_test(touching_a_guard_is_a_segmentation_fault),
		cmocka_unit_test(an_overflow_ends_the_process_and_tells_the_task_and_its_place),
		cmocka_unit_test(another_fault_is_not_called_an_overflow),
		cmocka_unit_test(a_backtrace_ends_at_the_tasks_first_frame),
		cmocka_unit_test(a_task_without_a_stack_ends_with_eagain),
		cmocka_unit_test(without_mappings_for_guards_a_task_ends_with_eagain),
		cmocka_unit_test(many_tasks_run_on_guards_of_either_kind),
	};

	return TAP_RUN(tests);
}
