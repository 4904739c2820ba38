/*
 * fiber.c — resuming and suspending, with the hooks of AddressSanitizer, ThreadSanitizer and valgrind.
 */
#include "fiber.h"
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define WITH_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WITH_TSAN 1
#endif
#endif

#ifdef WITH_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef WITH_TSAN
#include <sanitizer/tsan_interface.h>
#endif
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#define VALGRIND_STACK_REGISTER(start, end) 0
#define VALGRIND_STACK_DEREGISTER(id) ((void)(id))
#endif

/* Inlined into the function that switches: TSan counts calls on the stack that is current, so none may begin on one and
 * end on the other. */
#define ALWAYS_INLINE inline __attribute__((always_inline))

static bool on_valgrind; /* asking it takes as long as a switch */

static void fiber_main(void *arg);

__attribute__((constructor)) static void look_for_valgrind(void)
{
	on_valgrind = RUNNING_ON_VALGRIND;
}

static ALWAYS_INLINE void before_resume(struct fiber *f GA_UNUSED, void **fake_stack GA_UNUSED)
{
#ifdef WITH_ASAN
	__sanitizer_start_switch_fiber(fake_stack, f->stack.base, f->stack.size);
#endif
#ifdef WITH_TSAN
	f->tsan_back = __tsan_get_current_fiber();
	__tsan_switch_to_fiber(f->tsan_fiber, 0);
#endif
}

static ALWAYS_INLINE void after_resume(void *fake_stack GA_UNUSED)
{
#ifdef WITH_ASAN
	__sanitizer_finish_switch_fiber(fake_stack, NULL, NULL);
#endif
}

/* An ended fiber saves no fake stack: ASan frees it. */
static ALWAYS_INLINE void before_suspend(struct fiber *f GA_UNUSED)
{
#ifdef WITH_ASAN
	__sanitizer_start_switch_fiber(f->ended ? NULL : &f->asan_fake_stack, f->asan_back_base,
				       f->asan_back_size);
#endif
#ifdef WITH_TSAN
	__tsan_switch_to_fiber(f->tsan_back, 0);
#endif
}

static ALWAYS_INLINE void after_suspend(struct fiber *f GA_UNUSED)
{
#ifdef WITH_ASAN
	__sanitizer_finish_switch_fiber(f->asan_fake_stack, &f->asan_back_base, &f->asan_back_size);
#endif
}

int fiber_new(struct stacks *s, size_t stack_bytes, void (*fn)(void *arg), void *arg,
	      struct fiber **ret_fiber)
{
	struct stack stack;
	struct fiber *f;
	int r = stacks_take(s, stack_bytes, &stack);

	if (r < 0)
		return r;
#ifdef WITH_ASAN
	ASAN_UNPOISON_MEMORY_REGION(stack.base, stack.size); /* from its last user's frames */
#endif
	f = fiber_on(&stack);
	f->stack = stack;
	f->fn = fn;
	f->arg = arg;
	f->name = f->site = NULL;
	f->ended = false;
	f->asan_fake_stack = NULL;
	context_make(&f->context, stack.base, (size_t)((char *)f - stack.base), fiber_main, f);
	if (GA_UNLIKELY(on_valgrind))
		f->valgrind_id = VALGRIND_STACK_REGISTER(stack.base, stack.base + stack.size);
#ifdef WITH_TSAN
	f->tsan_fiber = __tsan_create_fiber(0);
#endif
	*ret_fiber = f;
	return 0;
}

void fiber_free(struct stacks *s, struct fiber *f)
{
	struct stack stack = f->stack;

#ifdef WITH_TSAN
	__tsan_destroy_fiber(f->tsan_fiber);
#endif
	if (GA_UNLIKELY(on_valgrind))
		VALGRIND_STACK_DEREGISTER(f->valgrind_id);
	stacks_give(s, &stack);
}

bool fiber_resume(struct fiber *f)
{
	struct context here;
	void *fake_stack = NULL;

	/* cppcheck-suppress autoVariables ; it is used until this function returns, and no longer */
	f->back = &here;
	before_resume(f, &fake_stack);
	context_switch(&here, &f->context);
	after_resume(fake_stack);
	return f->ended;
}

void fiber_suspend(struct fiber *f)
{
	before_suspend(f);
	context_switch(&f->context, f->back);
	after_suspend(f);
}

static void fiber_main(void *arg)
{
	struct fiber *f = arg;

	after_suspend(f);
	f->fn(f->arg);
	f->ended = true;
	fiber_suspend(f);
	__builtin_trap(); /* an ended fiber was resumed */
}
