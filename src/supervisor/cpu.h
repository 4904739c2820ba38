/*
 * cpu.h — how many workers, and on which CPUs: those that this process may use, but no more than its cgroup pays for.
 *
 * The quota is cpu.max of cgroup v2, of this process's cgroup and each above it (Documentation/admin-guide/
 * cgroup-v2.rst), or cpu.cfs_quota_us of v1; rounded up to whole CPUs, since half a worker can't be started.
 */
#pragma once
#include "compiler.h"
#include <stdbool.h>
#include <stdint.h>

#define CPU_NONE UINT32_MAX /* not pinned */

/* The numbers of the CPUs that sched_getaffinity() allows, ascending; at least one. The caller frees them. */
int cpu_allowed(uint32_t **ret_cpus, unsigned *ret_count) GA_MUST_CHECK;
/* Bind the calling process to one CPU. */
int cpu_pin(uint32_t cpu);

/* `configured` workers if > 0, else one per allowed CPU within the quota (0: none); never 0. */
unsigned cpu_workers(int64_t configured, unsigned allowed, unsigned quota);
/* The quota in whole CPUs, 0 if there is none. `cgroups`: the text of /proc/self/cgroup; `mount`: "/sys/fs/cgroup". */
unsigned cpu_quota(const char *cgroups, const char *mount);
/* The same for this process. */
unsigned cpu_quota_here(void);

/* "150000 100000\n", as in cpu.max: 2. 0 for "max 100000" and for what isn't a quota. */
unsigned cpu_quota_parse(const char *text);
/* The path of the v2 cgroup (controller NULL) or of a v1 controller in /proc/self/cgroup's text; false: not listed. */
bool cgroup_path(const char *cgroups, const char *controller, char *ret_path, size_t size);
