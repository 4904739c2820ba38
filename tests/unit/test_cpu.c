/* How many workers and where: the parsers of /proc and /sys, on trees made here. */
#include "cpu.h"
#include "tap_main.h"
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char mount[] = "/tmp/gather-cgroup-XXXXXX";

static int remove_visited(const char *path, const struct stat *st GA_UNUSED, int kind GA_UNUSED,
			  struct FTW *where GA_UNUSED)
{
	return remove(path);
}

static int mount_make(void **state GA_UNUSED)
{
	strcpy(mount, "/tmp/gather-cgroup-XXXXXX");
	return mkdtemp(mount) ? 0 : -1;
}

static int mount_remove(void **state GA_UNUSED)
{
	return nftw(mount, remove_visited, 8, FTW_DEPTH | FTW_PHYS);
}

/* A file below the mount, with the directories above it. */
static void put(const char *path, const char *text)
{
	char full[PATH_MAX];
	int fd;

	snprintf(full, sizeof(full), "%s/%s", mount, path);
	for (char *slash = strchr(full + strlen(mount) + 1, '/'); slash;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		assert_true(mkdir(full, 0700) == 0 || errno == EEXIST);
		*slash = '/';
	}
	fd = open(full, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void a_quota_is_rounded_up_to_whole_cpus(void **state GA_UNUSED)
{
	assert_int_equal(cpu_quota_parse("100000 100000\n"), 1);
	assert_int_equal(cpu_quota_parse("150000 100000\n"), 2);
	assert_int_equal(cpu_quota_parse("1 100000"), 1);
	assert_int_equal(cpu_quota_parse("400000 50000\n"), 8);
}

static void no_quota_and_nonsense_are_none(void **state GA_UNUSED)
{
	static const char *const texts[] = {
		"max 100000\n",
		"",
		"\n",
		"100000",
		"-1 100000",
		"0 100000",
		"100000 0",
		"1.5 1000",
		"100000 abc",
		"1 2 3",
		" 1 2",
		"+1 2",
		"99999999999999999999 1",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_int_equal(cpu_quota_parse(texts[i]), 0);
	assert_int_equal(cpu_quota_parse("9223372036854775807 1"), INT_MAX);
}

static void a_cgroup_is_found_by_its_controller(void **state GA_UNUSED)
{
	static const char hybrid[] = "12:cpuset:/a\n4:cpu,cpuacct:/docker/b\n0::/user.slice/c\n";
	char path[64];

	assert_true(cgroup_path(hybrid, "cpu", path, sizeof(path)));
	assert_string_equal(path, "/docker/b");
	assert_true(cgroup_path(hybrid, "cpuacct", path, sizeof(path)));
	assert_string_equal(path, "/docker/b");
	assert_true(cgroup_path(hybrid, NULL, path, sizeof(path)));
	assert_string_equal(path, "/user.slice/c");
	assert_false(cgroup_path(hybrid, "memory", path, sizeof(path)));
	assert_false(cgroup_path(hybrid, "cpu,cpuacct", path, sizeof(path)));
	assert_true(cgroup_path("0::/", NULL, path, sizeof(path)));
	assert_string_equal(path, "/");
}

static void broken_lines_name_no_cgroup(void **state GA_UNUSED)
{
	static const char *const texts[] = { "", "\n\n", "0", "0:", "0::", "::::", "10::/x" };
	char path[8];

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_false(cgroup_path(texts[i], "cpu", path, sizeof(path)));
	assert_false(cgroup_path("0::/longer-than-that", NULL, path, sizeof(path)));
	assert_false(cgroup_path("1:name=systemd:/x", NULL, path, sizeof(path)));
}

static void the_tightest_quota_up_the_v2_tree_counts(void **state GA_UNUSED)
{
	put("a/cpu.max", "300000 100000\n");
	put("a/b/cpu.max", "max 100000\n");
	put("a/b/c/cpu.max", "800000 100000\n");
	assert_int_equal(cpu_quota("0::/a/b/c\n", mount), 3);
	assert_int_equal(cpu_quota("0::/a/b\n", mount), 3);
	put("a/b/c/cpu.max", "50000 100000\n");
	assert_int_equal(cpu_quota("0::/a/b/c\n", mount), 1);
}

static void a_v2_tree_without_quota_has_none(void **state GA_UNUSED)
{
	assert_int_equal(cpu_quota("0::/\n", mount), 0);
	assert_int_equal(cpu_quota("0::/no/such\n", mount), 0);
	put("x/cpu.max", "max 100000\n");
	assert_int_equal(cpu_quota("0::/x\n", mount), 0);
	put("cpu.max", "200000 100000\n"); /* as the root looks from inside a container */
	assert_int_equal(cpu_quota("0::/\n", mount), 2);
}

static void a_v1_quota_is_read(void **state GA_UNUSED)
{
	static const char cgroups[] = "4:cpu,cpuacct:/docker/b\n0::/\n";

	put("cpu,cpuacct/docker/b/cpu.cfs_quota_us", "250000\n");
	put("cpu,cpuacct/docker/b/cpu.cfs_period_us", "100000\n");
	assert_int_equal(cpu_quota(cgroups, mount), 3);
	put("cpu,cpuacct/docker/b/cpu.cfs_quota_us", "-1\n");
	assert_int_equal(cpu_quota(cgroups, mount), 0);
}

static void a_container_that_sees_its_own_v1_cgroup_as_the_root_is_found(void **state GA_UNUSED)
{
	put("cpu/cpu.cfs_quota_us", "100000\n");
	put("cpu/cpu.cfs_period_us", "100000\n");
	assert_int_equal(cpu_quota("4:cpu:/docker/0123\n", mount), 1);
}

static void one_worker_for_each_allowed_cpu_within_the_quota(void **state GA_UNUSED)
{
	assert_int_equal(cpu_workers(0, 8, 0), 8);
	assert_int_equal(cpu_workers(0, 8, 3), 3);
	assert_int_equal(cpu_workers(0, 2, 3), 2);
	assert_int_equal(cpu_workers(0, 0, 0), 1);
	assert_int_equal(cpu_workers(5, 2, 3), 5);
}

static void the_allowed_cpus_are_those_of_the_affinity(void **state GA_UNUSED)
{
	uint32_t *cpus, *again;
	unsigned count, n;
	pid_t pid;
	int status;

	assert_int_equal(cpu_allowed(&cpus, &count), 0);
	assert_true(count >= 1);
	for (unsigned i = 1; i < count; i++)
		assert_true(cpus[i] > cpus[i - 1]);
	pid = fork();
	if (pid == 0) {
		bool right = cpu_pin(cpus[count - 1]) == 0 && cpu_allowed(&again, &n) == 0 &&
			     n == 1 && again[0] == cpus[count - 1] &&
			     (unsigned)sched_getcpu() == cpus[count - 1];

		_exit(right ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(cpu_pin(8191), -EINVAL);
	free(cpus);
}

#define WITH_MOUNT(test) cmocka_unit_test_setup_teardown(test, mount_make, mount_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_quota_is_rounded_up_to_whole_cpus),
		cmocka_unit_test(no_quota_and_nonsense_are_none),
		cmocka_unit_test(a_cgroup_is_found_by_its_controller),
		cmocka_unit_test(broken_lines_name_no_cgroup),
		WITH_MOUNT(the_tightest_quota_up_the_v2_tree_counts),
		WITH_MOUNT(a_v2_tree_without_quota_has_none),
		WITH_MOUNT(a_v1_quota_is_read),
		WITH_MOUNT(a_container_that_sees_its_own_v1_cgroup_as_the_root_is_found),
		cmocka_unit_test(one_worker_for_each_allowed_cpu_within_the_quota),
		cmocka_unit_test(the_allowed_cpus_are_those_of_the_affinity),
	};

	return TAP_RUN(tests);
}
