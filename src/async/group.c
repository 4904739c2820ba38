/*
 * group.c — a block of code and the tasks that belong to it.
 */
#include "failures.h"
#include "task.h"
#include <errno.h>
#include <stdlib.h>

#define GROUP_MAGIC 0x67614770u

struct group;

/* A child; or the body, embedded in the group, once that has failed. */
struct member {
	struct list node; /* in one of the group's lists */
	struct future_waiter waiter;
	struct group *group;
	struct ga_future *task; /* NULL: the body */
	bool lent;              /* its handle was given out */
};

struct group {
	uint32_t magic;
	bool aborted;   /* the children were cancelled, and no more are taken */
	bool cancelled; /* from outside, or the body ended so */
	bool exiting;
	struct scope scope; /* around the body: fired by a child's error */
	struct park exit;   /* while the exit waits */
	struct list running, ended;
	struct list failed; /* in order of time */
	size_t failed_count;
	struct member body;
	struct failures *before; /* those of the task when it entered */
};
_Static_assert(sizeof(struct group) <= sizeof(struct ga_group), "ga_group holds a group");

static struct group *group_of(struct ga_group *g);
static void member_watch(struct member *m);
static void on_child_done(struct future_waiter *w, struct ga_future *f);
static void member_end(struct member *m, int result);
static void group_abort(struct group *g);
static void body_ends(struct group *g, int result);
static void join_all(struct group *g);
static void show_wait(struct group *g);
static enum park_answer exit_abort(struct park *p);
static int conclude(struct group *g, int result);
static struct failures *note_failures(const struct group *g, int body_result, int error);
static void free_members(struct list *members);

int ga_group_enter(struct ga_group *group)
{
	struct group *g = group_of(group);
	struct task *t = task_current();

	if (!t)
		return -EPERM;
	*g = (struct group){ .magic = GROUP_MAGIC, .before = failures_ref(t->failures) };
	list_init(&g->body.node);
	list_init(&g->running);
	list_init(&g->ended);
	list_init(&g->failed);
	scope_enter(&g->scope, t, false);
	return 0;
}

int ga_group_spawn_at(struct ga_group *group, ga_coroutine_fn fn, const void *arg,
		      const struct ga_spawn_options *options, const char *name, const char *site,
		      ga_future **ret_task)
{
	struct group *g = group_of(group);
	struct member *m;

	if (g->magic != GROUP_MAGIC)
		return -EINVAL;
	if (g->scope.task->future.loop != loop_current())
		return -EPERM;
	if (g->aborted)
		return -ECANCELED;
	m = malloc(sizeof(*m));
	if (!m)
		return -ENOMEM;
	*m = (struct member){ .group = g, .lent = ret_task != NULL };
	list_push_back(&g->running, &m->node); /* the group waits for it, even if it ends the others at once */
	m->task = ga_spawn_at(fn, arg, options, name, site);
	if (!m->task) {
		member_end(m, 0);
		return -ENOMEM;
	}
	if (ret_task)
		*ret_task = m->task;
	member_watch(m);
	return 0;
}

int ga_group_exit(struct ga_group *group, int result)
{
	struct group *g = group_of(group);
	int r;

	if (g->magic != GROUP_MAGIC)
		return -EINVAL;
	r = scope_check(&g->scope);
	if (r < 0)
		return r;
	(void)scope_leave(&g->scope);
	body_ends(g, result);
	join_all(g);
	return conclude(g, result);
}

static struct group *group_of(struct ga_group *g)
{
	return (struct group *)(void *)g;
}

static void member_watch(struct member *m)
{
	if (future_pending(m->task)) {
		future_wait(m->task, &m->waiter, on_child_done);
		if (m->group->aborted) /* by itself, while it ran eagerly */
			ga_cancel(m->task);
	} else {
		member_end(m, m->task->result);
	}
}

static void on_child_done(struct future_waiter *w, struct ga_future *f)
{
	member_end(container_of(w, struct member, waiter), f->result);
}

static void member_end(struct member *m, int result)
{
	struct group *g = m->group;

	list_remove(&m->node);
	if (result < 0 && result != -ECANCELED) {
		list_push_back(&g->failed, &m->node);
		g->failed_count++;
		group_abort(g);
		if (!g->exiting && !g->scope.fired)
			scope_fire(&g->scope);
	} else if (m->lent && m->task) {
		list_push_back(&g->ended, &m->node);
	} else {
		ga_release(m->task);
		free(m);
	}
	if (g->exiting && list_empty(&g->running))
		park_wake(&g->exit, 0);
}

static void group_abort(struct group *g)
{
	if (g->aborted)
		return;
	g->aborted = true;
	LIST_FOREACH(node, &g->running)
		ga_cancel(LIST_ENTRY(node, struct member, node)->task);
}

static void body_ends(struct group *g, int result)
{
	g->exiting = true;
	if (result >= 0)
		return;
	if (result == -ECANCELED) {
		g->cancelled = true;
	} else {
		list_push_back(&g->failed, &g->body.node);
		g->failed_count++;
	}
	group_abort(g);
}

/* A cancel ends no wait here: it cancels the children, and their ends end it. They may spawn more meanwhile. */
static void join_all(struct group *g)
{
	while (!list_empty(&g->running)) {
		(void)!park_begin(&g->exit, exit_abort); /* in a task it can't fail */
		show_wait(g);
		(void)park_wait(&g->exit);
	}
}

/* In the task table. */
static void show_wait(struct group *g)
{
	uint32_t count = 0;

	LIST_FOREACH(node, &g->running) {
		task_joins(g->scope.task, LIST_ENTRY(node, struct member, node)->task);
		count++;
	}
	task_waits(g->scope.task, "group", TARGET_COUNT, count);
}

static enum park_answer exit_abort(struct park *p)
{
	struct group *g = container_of(p, struct group, exit);

	if (!g->aborted)
		g->cancelled = true;
	group_abort(g);
	return PARK_FORWARDED;
}

/* Errors come before a cancel, which stays due then. */
static int conclude(struct group *g, int result)
{
	struct task *t = g->scope.task;
	struct failures *failures = NULL;

	g->magic = 0;
	if (g->failed_count > 0) {
		const struct member *first = LIST_ENTRY(g->failed.next, struct member, node);
		int error = first->task ? first->task->result : result;

		failures = note_failures(g, result, error);
		t->due = task_reasons(t) > 0;
		result = error;
	} else if (g->cancelled) {
		result = -ECANCELED;
	}
	failures_unref(t->failures);
	t->failures = failures;
	failures_unref(g->before);
	list_remove(&g->body.node);
	free_members(&g->failed);
	free_members(&g->ended);
	return result;
}

/* NULL without memory: then the error alone is known. */
static struct failures *note_failures(const struct group *g, int body_result, int error)
{
	struct failures *f = failures_new(g->failed_count, error);
	size_t i = 0;

	if (!f)
		return NULL;
	LIST_FOREACH(node, &g->failed) {
		const struct member *m = LIST_ENTRY(node, struct member, node);
		struct ga_failure *entry = &f->entries[i++];
		struct failures *inner = m->task ? task_of(m->task)->failures : g->scope.task->failures;

		if (m->task)
			*entry = (struct ga_failure){ .name = ga_task_name(m->task),
						      .site = ga_task_site(m->task),
						      .error = m->task->result };
		else
			*entry = (struct ga_failure){ .site = "", .error = body_result };
		/* What the body left behind in an earlier group, before it entered this one, is none of this one's. */
		if (inner && inner->error == entry->error && (m->task || inner != g->before))
			failures_nest(entry, inner);
	}
	return f;
}

static void free_members(struct list *members)
{
	struct list *node;

	while ((node = list_pop_front(members)) != NULL) {
		struct member *m = LIST_ENTRY(node, struct member, node);

		ga_release(m->task);
		free(m);
	}
}
