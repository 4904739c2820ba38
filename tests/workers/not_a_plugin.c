/*
 * not_a_plugin.c — a shared object without job types.
 */
#include <gather/attributes.h>

extern GA_API int answer;
GA_API int answer = 42;
