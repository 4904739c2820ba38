/*
 * task_show.c — what the task table says of a task's waits.
 */
#include "task.h"

static inline struct task_slab *slab_of(const struct task *t)
{
	if (t->row.state == TASK_DONE)
		return t->turn.arg;
	return ((struct runtime *)loop_attached(t->future.loop))->slab;
}

const char *task_name(const struct task *t)
{
	return slab_of(t)->sites[t->row.site].name;
}

const char *task_site(const struct task *t)
{
	return slab_of(t)->sites[t->row.site].place;
}

void task_waits(struct task *t, const char *kind, enum task_target is, uint32_t target)
{
	struct task_slab *s = slab_of(t);
	size_t i = task_slab_recent(kind);

	t->row.kind = s->recent[i].kind == kind ? s->recent[i].index : task_slab_kind(s, kind);
	t->row.target_is = (uint8_t)is;
	t->row.target = target;
}

void task_awaits_other(struct task *t, const struct ga_future *f)
{
	char text[sizeof(((struct table_detail *)0)->text)];
	uint32_t detail = 0;

	if (f->ops->describe) {
		f->ops->describe(f, text, sizeof(text));
		detail = task_slab_detail(slab_of(t), text);
	}
	task_waits(t, f->ops->kind, detail ? TARGET_DETAIL : TARGET_NONE, detail);
}

void task_detail_end(struct task *t)
{
	task_slab_detail_give(slab_of(t), t->row.target);
}

void task_joins(struct task *t, struct ga_future *f)
{
	struct task *joined = task_of(f);

	if (!joined)
		return;
	joined->row.waiter = task_slab_ref(t);
	joined->row.waiter_ticket = t->row.ticket;
}

void park_for(struct park *p, const char *kind)
{
	task_waits(p->task, kind, TARGET_NONE, 0);
}

void park_for_fd(struct park *p, const char *kind, int fd)
{
	task_waits(p->task, kind, TARGET_FD, (uint32_t)fd);
}
