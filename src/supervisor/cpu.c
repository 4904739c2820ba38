#include "cpu.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CPUS_FIRST = 1024, CPUS_MOST = 1 << 20, CGROUP_TEXT = 16384 };

static unsigned quota_of_v2(const char *mount, char *path);
static unsigned quota_of_v1(const char *mount, const char *path);
static bool small_file(const char *path, char *text, size_t size);

/* The kernel answers EINVAL while the set is smaller than its own. */
static cpu_set_t *affinity(unsigned *ret_capacity)
{
	for (unsigned n = CPUS_FIRST; n <= CPUS_MOST; n *= 2) {
		cpu_set_t *set = CPU_ALLOC(n);

		if (!set)
			return NULL;
		CPU_ZERO_S(CPU_ALLOC_SIZE(n), set);
		if (sched_getaffinity(0, CPU_ALLOC_SIZE(n), set) == 0) {
			*ret_capacity = n;
			return set;
		}
		CPU_FREE(set);
		if (errno != EINVAL)
			return NULL;
	}
	return NULL;
}

int cpu_allowed(uint32_t **ret_cpus, unsigned *ret_count)
{
	unsigned capacity = 0, count = 0;
	cpu_set_t *set = affinity(&capacity);
	uint32_t *cpus;

	if (!set)
		return -errno;
	cpus = calloc((size_t)CPU_COUNT_S(CPU_ALLOC_SIZE(capacity), set), sizeof(*cpus));
	if (cpus) {
		for (uint32_t i = 0; i < capacity; i++)
			if (CPU_ISSET_S(i, CPU_ALLOC_SIZE(capacity), set))
				cpus[count++] = i;
	}
	CPU_FREE(set);
	if (!cpus)
		return -ENOMEM;
	*ret_cpus = cpus;
	*ret_count = count;
	return 0;
}

int cpu_pin(uint32_t cpu)
{
	size_t size = CPU_ALLOC_SIZE(cpu + 1);
	cpu_set_t *set = CPU_ALLOC(cpu + 1);
	int r;

	if (!set)
		return -ENOMEM;
	CPU_ZERO_S(size, set);
	CPU_SET_S(cpu, size, set);
	r = sched_setaffinity(0, size, set) < 0 ? -errno : 0;
	CPU_FREE(set);
	return r;
}

unsigned cpu_workers(int64_t configured, unsigned allowed, unsigned quota)
{
	if (configured > 0)
		return (unsigned)MIN(configured, (int64_t)INT_MAX);
	if (quota && quota < allowed)
		return quota;
	return MAX(allowed, 1U);
}

unsigned cpu_quota(const char *cgroups, const char *mount)
{
	char path[PATH_MAX];
	unsigned quota = 0;

	if (cgroup_path(cgroups, "cpu", path, sizeof(path)))
		quota = quota_of_v1(mount, path);
	if (!quota && cgroup_path(cgroups, NULL, path, sizeof(path)))
		quota = quota_of_v2(mount, path);
	return quota;
}

unsigned cpu_quota_here(void)
{
	char text[CGROUP_TEXT];

	if (!small_file("/proc/self/cgroup", text, sizeof(text)))
		return 0;
	return cpu_quota(text, "/sys/fs/cgroup");
}

/* A whole number > 0 at *text, moved past it and the blanks after it; -1: something else. */
static int64_t positive(const char **text)
{
	long long value;
	char *end;

	if (**text < '0' || **text > '9')
		return -1;
	errno = 0;
	value = strtoll(*text, &end, 10);
	if (errno || value <= 0)
		return -1;
	*text = end + strspn(end, " \t\n");
	return value;
}

unsigned cpu_quota_parse(const char *text)
{
	int64_t quota = positive(&text), period;

	if (quota < 0)
		return 0;
	period = positive(&text);
	if (period < 0 || *text)
		return 0;
	return (unsigned)MIN(quota / period + (quota % period != 0), (int64_t)INT_MAX);
}

/* Whether the comma-separated list [list, list + size) holds `word`. */
static bool list_has(const char *list, size_t size, const char *word)
{
	const char *end = list + size;

	while (list <= end) {
		const char *comma = memchr(list, ',', (size_t)(end - list));
		size_t item = (size_t)((comma ? comma : end) - list);

		if (item == strlen(word) && memcmp(list, word, item) == 0)
			return true;
		list += item + 1;
	}
	return false;
}

/* Lines are "hierarchy:controllers:path"; v2's is "0::path" (cgroups(7)). */
bool cgroup_path(const char *cgroups, const char *controller, char *ret_path, size_t size)
{
	for (const char *line = cgroups; *line;) {
		size_t length = strcspn(line, "\n");
		const char *list = memchr(line, ':', length), *path = NULL;

		if (list) {
			list++;
			path = memchr(list, ':', length - (size_t)(list - line));
		}
		if (path) {
			size_t list_size = (size_t)(path - list);
			size_t path_size = length - (size_t)(++path - line);
			bool is_it = controller ? list_has(list, list_size, controller)
						: list_size == 0 && line[0] == '0';

			if (is_it && path_size < size) {
				memcpy(ret_path, path, path_size);
				ret_path[path_size] = '\0';
				return true;
			}
		}
		line += length + (line[length] == '\n');
	}
	return false;
}

/* The tightest quota from this cgroup up to the root of what is mounted. Shortens `path`. */
static unsigned quota_of_v2(const char *mount, char *path)
{
	char file[2 * PATH_MAX], text[64];
	unsigned tightest = 0;

	for (;;) {
		char *slash;

		snprintf(file, sizeof(file), "%s%s/cpu.max", mount, path);
		if (small_file(file, text, sizeof(text))) {
			unsigned quota = cpu_quota_parse(text);

			if (quota && (!tightest || quota < tightest))
				tightest = quota;
		}
		slash = strrchr(path, '/');
		if (!slash)
			return tightest;
		*slash = '\0';
	}
}

static unsigned quota_in_v1(const char *directory)
{
	char file[2 * PATH_MAX + 32], quota[32], period[32], both[80];

	snprintf(file, sizeof(file), "%s/cpu.cfs_quota_us", directory);
	if (!small_file(file, quota, sizeof(quota)))
		return 0;
	snprintf(file, sizeof(file), "%s/cpu.cfs_period_us", directory);
	if (!small_file(file, period, sizeof(period)))
		return 0;
	snprintf(both, sizeof(both), "%s %s", quota, period);
	return cpu_quota_parse(both);
}

/* In a container the listed path is the host's while its own cgroup is the root of the mount: try both. */
static unsigned quota_of_v1(const char *mount, const char *path)
{
	static const char *const names[] = { "cpu", "cpu,cpuacct", "cpuacct,cpu" };
	char directory[2 * PATH_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		unsigned quota;

		snprintf(directory, sizeof(directory), "%s/%s%s", mount, names[i], path);
		quota = quota_in_v1(directory);
		if (!quota) {
			snprintf(directory, sizeof(directory), "%s/%s", mount, names[i]);
			quota = quota_in_v1(directory);
		}
		if (quota)
			return quota;
	}
	return 0;
}

static bool small_file(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, text, size - 1);
	close(fd);
	if (n < 0)
		return false;
	text[n] = '\0';
	return true;
}
