/*
 * attributes.h — the marks that gatherd's public declarations carry.
 *
 * GA_API         exported from the library; everything else is hidden.
 * GA_ASYNC       may suspend the calling task: call it from a coroutine only.
 * GA_MUST_CHECK  the result says whether it worked; ignoring it is a bug.
 * GA_PRINTF(f,a) checked like printf(3): format is parameter f, values start at a.
 */
#pragma once

#if defined(__GNUC__) || defined(__clang__)
#define GA_API __attribute__((visibility("default")))
#define GA_MUST_CHECK __attribute__((warn_unused_result))
#define GA_UNUSED __attribute__((unused))
#define GA_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define GA_API
#define GA_MUST_CHECK
#define GA_UNUSED
#define GA_PRINTF(f, a)
#endif

#define GA_ASYNC
