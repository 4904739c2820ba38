/*
 * bad_abi.c — a module from another age: it must be refused by name.
 */
#include <gather/worker.h>

static const struct ga_job_type *const none[] = { NULL };

extern GA_API const struct ga_plugin ga_plugin;
GA_API const struct ga_plugin ga_plugin = { GA_WORKER_ABI + 1, sizeof(struct ga_job_type), none };
