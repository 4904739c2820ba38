/*
 * tap_main.h — the entry of a unit test program: one cmocka group, printed as TAP.
 *
 *	int main(void)
 *	{
 *		const struct CMUnitTest tests[] = { cmocka_unit_test(an_empty_heap_has_no_due_time) };
 *
 *		return TAP_RUN(tests);
 *	}
 *
 * One group a program, as a TAP stream has one plan. cmocka's skip() prints "not ok", which prove counts as failed:
 * TAP_SKIP() leaves a passed test with the reason as a comment instead.
 */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h> /* wants the four above */

#define TAP_RUN(tests) TAP_RUN_WITH(tests, NULL, NULL)
/* With a set-up and a tear-down of the whole group. */
#define TAP_RUN_WITH(tests, setup, teardown)                                                       \
	(cmocka_set_message_output(CM_OUTPUT_TAP), setvbuf(stdout, NULL, _IOLBF, 0),               \
	 cmocka_run_group_tests(tests, setup, teardown))

#define TAP_SKIP(reason)                                                                           \
	do {                                                                                       \
		printf("# %s skipped: %s\n", __func__, reason);                                    \
		return;                                                                            \
	} while (0)
