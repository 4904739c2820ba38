/* The task table: what a reader sees of a process's tasks, and what it makes of bytes that are none. */
#include "async_check.h"
#include "tap_main.h"
#include "task_reader.h"
#include "task_slab.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <gather/http.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the test wants of a row, copied: the reader's is gone with the next one. */
struct seen {
	uint64_t id, awaits, awaited_by;
	enum ga_task_state state;
	bool on_cpu;
	char name[64], site[96], waits_for[96];
	unsigned cancels, count;
	int64_t age;
};

/* The task of that name; false: there is none. `count` says how many have it. */
static bool look(const char *name, struct seen *seen)
{
	const struct ga_task_info *info;
	ga_tasks *tasks;

	memset(seen, 0, sizeof(*seen));
	if (ga_tasks_open(getpid(), &tasks) < 0)
		return false;
	while ((info = ga_tasks_next(tasks)) != NULL) {
		if (strcmp(info->name, name) != 0)
			continue;
		seen->count++;
		seen->id = info->id;
		seen->awaits = info->awaits;
		seen->awaited_by = info->awaited_by;
		seen->state = info->state;
		seen->on_cpu = info->is_on_cpu;
		seen->cancels = info->cancels;
		seen->age = info->age_ns;
		snprintf(seen->name, sizeof(seen->name), "%s", info->name);
		snprintf(seen->site, sizeof(seen->site), "%s", info->site);
		snprintf(seen->waits_for, sizeof(seen->waits_for), "%s", info->waits_for);
	}
	ga_tasks_close(tasks);
	return seen->count > 0;
}

static int nap(const void *unused GA_UNUSED)
{
	return ga_sleep(GA_SECONDS(1));
}

CASE(a_parked_task_is_seen_with_its_name_place_and_wait)
{
	GA_AUTO ga_future *task = ga_spawn(nap, NULL);
	struct seen seen;

	EXPECT(look("nap", &seen) && seen.state == GA_TASK_NEW);
	EXPECT(one_turn() == 0);
	EXPECT(look("nap", &seen));
	EXPECT(seen.state == GA_TASK_PARKED && strcmp(seen.waits_for, "sleep") == 0);
	EXPECT(strstr(seen.site, "test_async_tasks.c:") != NULL);
	EXPECT(!seen.on_cpu && seen.count == 1 && seen.cancels == 0);
	return ga_await(task);
}

CASE(the_task_that_looks_is_on_the_cpu)
{
	struct seen seen;

	EXPECT(look("fn", &seen)); /* run_virtual_on() spawned it by that name */
	EXPECT(seen.state == GA_TASK_RUNNING && seen.on_cpu);
	return 0;
}

static int look_at_both(const void *ret)
{
	struct seen *both = (struct seen *)(uintptr_t)ret;

	return look("eager outer", &both[0]) && look("eager inner", &both[1]) ? 0 : -1;
}

static int run_inner(const void *ret)
{
	const struct ga_spawn_options options = { .name = "eager inner", .eager = true };
	GA_AUTO ga_future *inner = ga_spawn_with(look_at_both, ret, &options);

	return ga_await(inner);
}

CASE(of_tasks_that_run_inside_each_other_the_innermost_is_on_the_cpu)
{
	const struct ga_spawn_options options = { .name = "eager outer", .eager = true };
	struct seen both[2] = { 0 };
	GA_AUTO ga_future *outer = ga_spawn_with(run_inner, both, &options);

	EXPECT(ga_await(outer) == 0);
	EXPECT(both[0].state == GA_TASK_RUNNING && !both[0].on_cpu);
	EXPECT(both[1].state == GA_TASK_RUNNING && both[1].on_cpu);
	return 0;
}

static int await_it(const void *future)
{
	return ga_await((ga_future *)(uintptr_t)future);
}

static int gather_two(const void *futures)
{
	ga_future *const *both = futures;

	return ga_gather(both, 2, 0);
}

CASE(who_awaits_whom_is_seen_while_it_does)
{
	const struct ga_spawn_options names[] = { { .name = "child one" }, { .name = "child two" } };
	GA_AUTO ga_future *one = ga_spawn_with(nap, NULL, &names[0]);
	GA_AUTO ga_future *two = ga_spawn_with(nap, NULL, &names[1]);
	ga_future *children[] = { one, two };
	GA_AUTO ga_future *parent = ga_spawn(gather_two, children);
	GA_AUTO ga_future *waiter = ga_spawn(await_it, parent);
	struct seen p, w, a, b;

	EXPECT(one_turn() == 0);
	EXPECT(look("gather_two", &p) && look("await_it", &w));
	EXPECT(look("child one", &a) && look("child two", &b));
	EXPECT(a.awaited_by == p.id && b.awaited_by == p.id && p.awaited_by == 0);
	EXPECT(strcmp(p.waits_for, "gather 2") == 0);
	EXPECT(w.awaits == p.id && strcmp(w.waits_for, "task") == 0);
	ga_cancel(one);
	EXPECT(ga_await(waiter) == -ECANCELED);
	EXPECT(look("gather_two", &p) && p.state == GA_TASK_DONE && p.waits_for[0] == '\0');
	EXPECT(look("child two", &b) && b.awaited_by == 0);
	return 0;
}

static int look_at_slow_child(const void *ret)
{
	return look("slow child", (struct seen *)(uintptr_t)ret) ? 0 : -1;
}

CASE(an_edge_ends_with_its_wait)
{
	const struct ga_spawn_options name = { .name = "slow child" };
	GA_AUTO ga_future *child = ga_spawn_with(nap, NULL, &name);
	ga_future *children[] = { child };
	struct seen seen = { 0 };
	GA_AUTO ga_future *early = ga_spawn(look_at_slow_child, &seen);
	GA_AUTO ga_future *late = NULL;

	EXPECT(ga_wait(children, 1, GA_ALL_COMPLETED, ga_now() + GA_MILLISECONDS(1)) == 0);
	EXPECT(ga_result(early, NULL) == 0 && seen.awaited_by != 0); /* it looked during the wait */
	EXPECT(look("slow child", &seen) && seen.awaited_by == 0);
	late = ga_spawn(look_at_slow_child, &seen);
	EXPECT(ga_await(late) == 0 && seen.awaited_by == 0); /* this waits again, but for another */
	ga_cancel(child);
	return ga_await(child) == -ECANCELED ? 0 : -1;
}

CASE(the_kind_of_a_future_is_told)
{
	GA_AUTO ga_future *plain = ga_future_new();
	GA_AUTO ga_future *task = ga_spawn(await_it, plain);
	struct seen seen;

	EXPECT(one_turn() == 0);
	EXPECT(look("await_it", &seen) && strcmp(seen.waits_for, "future") == 0 && seen.awaits == 0);
	EXPECT(ga_resolve(plain, 0, NULL) == 0);
	EXPECT(look("await_it", &seen) && seen.state == GA_TASK_READY);
	return ga_await(task);
}

CASE(who_is_called_by_http_is_told)
{
	struct sockaddr_in where = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t size = sizeof(where);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); /* it listens, and never answers */
	GA_AUTO ga_future *answer = NULL;
	GA_AUTO ga_future *task = NULL;
	struct seen seen;
	char url[64];

	EXPECT(bind(fd, (const struct sockaddr *)&where, sizeof(where)) == 0 && listen(fd, 1) == 0);
	EXPECT(getsockname(fd, (struct sockaddr *)&where, &size) == 0);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/", ntohs(where.sin_port));
	answer = ga_http_get(url);
	task = ga_spawn(await_it, answer);
	EXPECT(one_turn() == 0);
	EXPECT(look("await_it", &seen) && strcmp(seen.waits_for, "http 127.0.0.1") == 0);
	ga_cancel(task);
	EXPECT(ga_await(task) == -ECANCELED);
	close(fd);
	return 0;
}

CASE(a_cancelled_task_shows_its_requests)
{
	GA_AUTO ga_future *task = ga_spawn(nap, NULL);
	struct seen seen;

	ga_cancel(task);
	ga_cancel(task);
	EXPECT(look("nap", &seen) && seen.cancels == 2);
	return ga_await(task) == -ECANCELED ? 0 : -1;
}

CASE(a_name_at_the_address_of_another_is_told_apart)
{
	char name[16] = "first";
	const struct ga_spawn_options options = { .name = name };
	ga_future *both[2];
	struct seen seen;

	for (int i = 0; i < 2; i++) {
		strcpy(name, i ? "second" : "first");
		both[i] = ga_spawn_with(nap, NULL, &options);
	}
	EXPECT(look("first", &seen) && seen.count == 1);
	EXPECT(look("second", &seen) && seen.count == 1);
	EXPECT(strcmp(ga_task_name(both[0]), "first") == 0);
	ga_release_all(both, 2);
	return 0;
}

CASE(long_names_are_cut_and_of_long_places_the_end_stays)
{
	char name[200], place[200];
	struct seen seen;
	ga_future *task;

	memset(name, 'n', sizeof(name) - 1);
	memset(place, 'p', sizeof(place) - 1);
	name[sizeof(name) - 1] = '\0';
	strcpy(place + sizeof(place) - 8, "file:42");
	task = ga_spawn_at(nap, NULL, NULL, name, place);
	name[55] = '\0';
	EXPECT(look(name, &seen));
	EXPECT(strlen(seen.site) == 71 && strcmp(seen.site + 64, "file:42") == 0);
	EXPECT(strcmp(ga_task_name(task), name) == 0);
	ga_release(task);
	return 0;
}

/* Takes turns with its like, for ever. */
static int restless(const void *unused GA_UNUSED)
{
	for (;;)
		if (ga_sleep(0) < 0)
			return 0;
}

static int be_restless(const void *unused GA_UNUSED)
{
	ga_future *both[] = { ga_spawn(restless, NULL), ga_spawn(restless, NULL) };

	return ga_gather(both, 2, 0);
}

static void tasks_that_never_rest_are_seen_in_another_process(void **state GA_UNUSED)
{
	const struct ga_task_info *info;
	int seen = 0, opened = 0;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0)
		_exit(ga_run(be_restless, NULL) != 0);
	for (int tries = 0; opened < 200 && tries < 100000; tries++) {
		unsigned both = 0, parents = 0;
		ga_tasks *tasks;

		if (ga_tasks_open(child, &tasks) < 0) {
			assert_int_equal(opened, 0); /* only before its loop is there */
			continue;
		}
		while ((info = ga_tasks_next(tasks)) != NULL) {
			both += strcmp(info->name, "restless") == 0;
			parents += strcmp(info->name, "main") == 0;
			assert_true(info->state != GA_TASK_DONE);
		}
		ga_tasks_close(tasks);
		if (both == 0 && opened == 0)
			continue; /* it has just begun */
		seen += both == 2 && parents == 1;
		opened++;
	}
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(opened, 200);
	assert_int_equal(seen, opened);
}

static int hold_one(const void *ret_task)
{
	ga_future **held = (ga_future **)(uintptr_t)ret_task;

	*held = ga_spawn(sleep_then_return, &(int){ 0 });
	return ga_await(*held);
}

static void a_handle_outlives_its_loop(void **state GA_UNUSED)
{
	ga_future *held = NULL;

	assert_int_equal(run_virtual_on(NULL, hold_one, &held), 0);
	assert_true(ga_done(held));
	assert_int_equal(ga_result(held, NULL), 0);
	assert_string_equal(ga_task_name(held), "sleep_then_return");
	ga_release(held);
}

static void without_a_loop_there_is_no_table(void **state GA_UNUSED)
{
	ga_tasks *tasks;

	assert_int_equal(ga_tasks_open(getpid(), &tasks), -ENODATA);
	assert_int_equal(ga_tasks_open(0x7fffffff, &tasks), -ESRCH);
}

CASE(a_table_that_was_turned_off_is_not_seen)
{
	struct seen seen;

	EXPECT(!look("nap", &seen));
	return 0;
}

static void the_environment_turns_the_table_off(void **state GA_UNUSED)
{
	ga_tasks *tasks;

	setenv("GATHER_TASKS", "0", 1);
	a_table_that_was_turned_off_is_not_seen(NULL);
	unsetenv("GATHER_TASKS");
	assert_int_equal(ga_tasks_open(getpid(), &tasks), -ENODATA);
}

static int run_limited(void)
{
	const struct rlimit small = { 4096, 4096 };
	ga_tasks *tasks;

	if (setrlimit(RLIMIT_FSIZE, &small) < 0)
		return 2;
	if (ga_run(nap, NULL) != 0)
		return 3;
	return ga_tasks_open(getpid(), &tasks) == -ENODATA ? 0 : 4;
}

static void under_a_limit_of_file_sizes_a_program_runs_unseen(void **state GA_UNUSED)
{
	pid_t child = fork();
	int status = 0;

	assert_true(child >= 0);
	if (child == 0)
		_exit(run_limited());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* ---- the memory ---- */

#define MANY 20000

static off_t table_blocks(void)
{
	char path[64], target[64];
	struct stat st;

	for (int fd = 0; fd < 256; fd++) {
		ssize_t size;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		size = readlink(path, target, sizeof(target) - 1);
		target[size > 0 ? size : 0] = '\0';
		if (strstr(target, TASK_TABLE_NAME) && fstat(fd, &st) == 0)
			return st.st_blocks;
	}
	return -1;
}

CASE(the_memory_of_many_tasks_is_given_back_and_used_again)
{
	ga_future **tasks = calloc(MANY, sizeof(*tasks));
	off_t before = table_blocks();

	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < MANY; i++)
			tasks[i] = ga_spawn(nap, NULL);
		EXPECT(table_blocks() > before + MANY * 100 / 512);
		for (int i = 0; i < MANY; i++)
			ga_cancel(tasks[i]);
		ga_release_all(tasks, MANY);
		EXPECT(one_turn() == 0);
		EXPECT(table_blocks() <= before + 8 * (int)TABLE_CHUNK_BYTES / 512);
	}
	free(tasks);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_parked_task_is_seen_with_its_name_place_and_wait),
		cmocka_unit_test(the_task_that_looks_is_on_the_cpu),
		cmocka_unit_test(of_tasks_that_run_inside_each_other_the_innermost_is_on_the_cpu),
		cmocka_unit_test(who_awaits_whom_is_seen_while_it_does),
		cmocka_unit_test(an_edge_ends_with_its_wait),
		cmocka_unit_test(the_kind_of_a_future_is_told),
		cmocka_unit_test(who_is_called_by_http_is_told),
		cmocka_unit_test(a_cancelled_task_shows_its_requests),
		cmocka_unit_test(a_name_at_the_address_of_another_is_told_apart),
		cmocka_unit_test(long_names_are_cut_and_of_long_places_the_end_stays),
		cmocka_unit_test(tasks_that_never_rest_are_seen_in_another_process),
		cmocka_unit_test(a_handle_outlives_its_loop),
		cmocka_unit_test(without_a_loop_there_is_no_table),
		cmocka_unit_test(the_environment_turns_the_table_off),
		cmocka_unit_test(under_a_limit_of_file_sizes_a_program_runs_unseen),
		cmocka_unit_test(the_memory_of_many_tasks_is_given_back_and_used_again),
	};

	return TAP_RUN(tests);
}
