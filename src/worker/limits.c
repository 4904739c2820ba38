#include "limits.h"

#include "executor.h"
#include "log.h"
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#define DESCRIPTORS_KEPT                                                                           \
	128u /* for the loop, ZeroMQ, modules, files, and libraries that fail badly without */
#define LIGHT_MAX 100000u /* HELLO names all that is held, in one record */

uint32_t limits_net(int64_t wanted, uint64_t descriptors)
{
	uint64_t left = descriptors > DESCRIPTORS_KEPT ? descriptors - DESCRIPTORS_KEPT : 0;
	uint64_t most = MAX(left / 4 * 3, UINT64_C(1)); /* the rest: idle connections and look-ups */

	return (uint32_t)MIN((uint64_t)wanted, most);
}

void limits_apply(const struct conf *conf, uint32_t ret_capacity[CLASS_COUNT])
{
	struct rlimit limit = { .rlim_cur = 1024 };
	int64_t net = conf->capacity_net;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
			(void)getrlimit(RLIMIT_NOFILE, &limit);
	}
	ret_capacity[CLASS_LIGHT] = (uint32_t)MIN(conf->capacity_light, (int64_t)LIGHT_MAX);
	ret_capacity[CLASS_NET] = limits_net(net, limit.rlim_cur);
	ret_capacity[CLASS_PROC] = (uint32_t)conf->capacity_proc;
	ret_capacity[CLASS_CPU] = (uint32_t)conf->capacity_cpu;
	if (ret_capacity[CLASS_NET] < net)
		log_warning("%llu descriptors suffice for %u net jobs at once, not for capacity_net = %lld: "
			    "raise LimitNOFILE or ulimit -Hn",
			    (unsigned long long)limit.rlim_cur, ret_capacity[CLASS_NET],
			    (long long)net);
}

void limits_free_io_threads(uint32_t cpu)
{
	cpu_set_t allowed;

	if (cpu != UINT32_MAX && sched_getaffinity(getppid(), sizeof(allowed), &allowed) == 0)
		executor_set_io_cpus(&allowed);
}
