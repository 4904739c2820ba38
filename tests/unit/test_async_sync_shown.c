/* What the task table says of those who wait for locks, queues and the like. */
#include "queue_check.h"
#include <gather/tasks.h>
#include <stdlib.h>
#include <unistd.h>

struct things {
	struct ga_lock lock, other;
	struct ga_event event;
	struct ga_condition condition;
	struct ga_semaphore semaphore;
	struct ga_barrier barrier;
	ga_queue *queue;
};

static int lock(const void *arg)
{
	return ga_lock_acquire(&((struct things *)(uintptr_t)arg)->lock, GA_NEVER);
}

static int event(const void *arg)
{
	return ga_event_wait(&((struct things *)(uintptr_t)arg)->event, GA_NEVER);
}

static int condition(const void *arg)
{
	struct things *all = (struct things *)(uintptr_t)arg;
	int r = ga_lock_acquire(&all->other, GA_NEVER);

	return r < 0 ? r : ga_condition_wait(&all->condition, GA_NEVER);
}

static int semaphore(const void *arg)
{
	return ga_semaphore_acquire(&((struct things *)(uintptr_t)arg)->semaphore, GA_NEVER);
}

static int barrier(const void *arg)
{
	return ga_barrier_wait(&((struct things *)(uintptr_t)arg)->barrier, GA_NEVER);
}

static int queue_get(const void *arg)
{
	void *got;

	return ga_queue_get(((struct things *)(uintptr_t)arg)->queue, GA_NEVER, &got);
}

static int queue_join(const void *arg)
{
	return ga_queue_join(((struct things *)(uintptr_t)arg)->queue, GA_NEVER);
}

static int queue_put(const void *arg)
{
	return ga_queue_put(((struct things *)(uintptr_t)arg)->queue, NULL, GA_NEVER);
}

/* Whether the task that is called like what it waits for is shown so. */
static bool is_shown(const char *name)
{
	const struct ga_task_info *info;
	bool shown = false;
	ga_tasks *tasks;

	if (ga_tasks_open(getpid(), &tasks) < 0)
		return false;
	while ((info = ga_tasks_next(tasks)) != NULL)
		if (strcmp(info->name, name) == 0)
			shown = info->state == GA_TASK_PARKED && strcmp(info->waits_for, name) == 0;
	ga_tasks_close(tasks);
	return shown;
}

CASE(a_parked_task_is_shown_with_what_it_waits_for)
{
	static const struct {
		const char *kind;
		ga_coroutine_fn fn;
	} waits[] = { { "lock", lock },           { "event", event },
		      { "condition", condition }, { "semaphore", semaphore },
		      { "barrier", barrier },     { "queue join", queue_join },
		      { "queue get", queue_get }, { "queue put", queue_put } };
	enum { COUNT = sizeof(waits) / sizeof(waits[0]) };
	struct things all = { .queue = queue_of(GA_FIFO, 1) };
	ga_future *tasks[COUNT];
	void *got;

	EXPECT(ga_lock_acquire(&all.lock, GA_NEVER) == 0);
	ga_condition_init(&all.condition, &all.other);
	ga_semaphore_init(&all.semaphore, 0);
	EXPECT(ga_barrier_init(&all.barrier, 2) == 0);
	EXPECT(ga_queue_put_now(all.queue, NULL) == 0);
	EXPECT(ga_queue_get_now(all.queue, &got) == 0); /* joining waits for it to be done */
	for (int i = 0; i < COUNT; i++) {
		struct ga_spawn_options options = { .name = waits[i].kind };

		if (waits[i].fn == queue_put) {
			ga_cancel(tasks[i - 1]);
			EXPECT(ga_await(tasks[i - 1]) == -ECANCELED);
			EXPECT(ga_queue_put_now(all.queue, NULL) == 0);
		}
		tasks[i] = ga_spawn_with(waits[i].fn, &all, &options);
		EXPECT(settle() == 0);
		EXPECT(is_shown(waits[i].kind));
	}
	for (int i = 0; i < COUNT; i++)
		(void)ga_await_until(tasks[i], 0);
	ga_release_all(tasks, COUNT);
	ga_queue_free(all.queue);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_parked_task_is_shown_with_what_it_waits_for),
	};

	return TAP_RUN(tests);
}
