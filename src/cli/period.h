/*
 * period.h — durations and counts as users write them on the command line.
 */
#pragma once
#include <gather/attributes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PERIOD_FORMS "a duration such as 250ms, 10s, 5m, 1h, 7d or a number of seconds"

/* To nanoseconds; false: it isn't one, or is more than 100 years. */
bool period_parse(const char *text, int64_t *ret_ns) GA_MUST_CHECK;
/* A whole number in [min, max], decimal. */
bool number_parse(const char *text, int64_t min, int64_t max, int64_t *ret_value) GA_MUST_CHECK;
/* Whether the bytes are a number as JSON writes it. */
bool json_number(const char *text, size_t size);
/* For people: "850 ms", "1.24 s", "2 min 05 s"; returns buffer. */
char *period_show(int64_t ns, char buffer[32]);
/* The same with three digits below a second: "84.2 us", "3.21 ms". */
char *period_show_fine(int64_t ns, char buffer[32]);
