/*
 * ps_tree.c — who awaits whom: each task below the one that waits for it, and rings of them marked.
 *
 * Without recursion, because a chain may be as long as there are tasks. What several tasks wait for is drawn once in full.
 */
#include "ps.h"
#include <stdlib.h>
#include <string.h>

#define INDENT_MAX 40
#define NSEC INT64_C(1000000000)

struct edge {
	size_t parent, child;
};

struct level {
	size_t task, edge; /* the next of its edges to follow */
};

struct tree {
	const struct ps_task *tasks;
	size_t count;
	struct edge *edges; /* by parent */
	size_t edge_count;
	size_t *first_edge; /* of each task */
	bool *drawn, *open, *has_parent;
	struct level *path;
};

void ps_put_time(struct strbuf *out, int64_t ns)
{
	long long s = ns / NSEC;

	if (s < 60)
		sb_printf(out, "%lld.%llds", s, (long long)(ns % NSEC / (NSEC / 10)));
	else if (s < 3600)
		sb_printf(out, "%lldm%02llds", s / 60, s % 60);
	else if (s < 86400)
		sb_printf(out, "%lldh%02lldm", s / 3600, s / 60 % 60);
	else
		sb_printf(out, "%lldd%02lldh", s / 86400, s / 3600 % 24);
}

static void *reserve(size_t count, size_t size)
{
	void *at = calloc(count + 1, size);

	if (!at)
		abort(); /* as for all that the command holds */
	return at;
}

/* By id; the tasks are sorted. `count`: there is none. */
static size_t find(const struct tree *t, uint64_t id)
{
	size_t low = 0, high = t->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (t->tasks[middle].info.id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low < t->count && t->tasks[low].info.id == id ? low : t->count;
}

static void add_edge(struct tree *t, size_t parent, size_t child)
{
	if (parent == t->count || child == t->count)
		return;
	t->edges[t->edge_count++] = (struct edge){ parent, child };
	t->has_parent[child] = true;
}

static int by_parent(const void *a, const void *b)
{
	const struct edge *x = a, *y = b;

	if (x->parent != y->parent)
		return x->parent < y->parent ? -1 : 1;
	return x->child < y->child ? -1 : x->child > y->child;
}

static void find_edges(struct tree *t)
{
	size_t e = 0;

	for (size_t i = 0; i < t->count; i++) {
		const struct ga_task_info *info = &t->tasks[i].info;

		if (info->awaits)
			add_edge(t, i, find(t, info->awaits));
		if (info->awaited_by)
			add_edge(t, find(t, info->awaited_by), i);
	}
	qsort(t->edges, t->edge_count, sizeof(*t->edges), by_parent);
	for (size_t i = 0; i <= t->count; i++) {
		while (e < t->edge_count && t->edges[e].parent < i)
			e++;
		t->first_edge[i] = e;
	}
}

static bool has_more(const struct tree *t, const struct level *l)
{
	return l->edge < t->first_edge[l->task + 1];
}

/* The lines that lead to those below the path that are yet to be drawn. */
static void put_lines(struct strbuf *out, const struct tree *t, size_t depth)
{
	size_t indent = depth < INDENT_MAX ? depth - 1 : INDENT_MAX;

	for (size_t i = 0; i < indent; i++)
		sb_text(out, has_more(t, &t->path[i]) ? "│  " : "   ");
	sb_text(out, has_more(t, &t->path[depth - 1]) ? "├─ " : "└─ ");
}

static void put_task(struct strbuf *out, const struct tree *t, size_t task, size_t depth)
{
	static const char *const states[] = { "new", "running", "", "ready", "done" };
	const struct ga_task_info *info = &t->tasks[task].info;

	if (depth > 0)
		put_lines(out, t, depth);
	sb_printf(out, "%llu %s", (unsigned long long)info->id, *info->name ? info->name : "?");
	if (t->open[task]) {
		sb_text(out, "  awaits itself: a cycle\n");
		return;
	}
	if (t->drawn[task]) {
		sb_text(out, "  (drawn above)\n");
		return;
	}
	sb_printf(out, "  %s", info->state == GA_TASK_PARKED ? info->waits_for : states[info->state]);
	if (info->is_on_cpu)
		sb_text(out, " on the CPU");
	sb_text(out, " for ");
	ps_put_time(out, info->since_ns);
	sb_printf(out, "  %s\n", info->site);
}

static void put_branch(struct strbuf *out, struct tree *t, size_t root)
{
	size_t depth = 0;

	put_task(out, t, root, 0);
	t->drawn[root] = t->open[root] = true;
	t->path[0] = (struct level){ root, t->first_edge[root] };
	for (;;) {
		struct level *level = &t->path[depth];
		size_t child;

		if (!has_more(t, level)) {
			t->open[level->task] = false;
			if (depth-- == 0)
				return;
			continue;
		}
		child = t->edges[level->edge++].child;
		put_task(out, t, child, depth + 1);
		if (t->drawn[child])
			continue;
		t->drawn[child] = t->open[child] = true;
		t->path[++depth] = (struct level){ child, t->first_edge[child] };
	}
}

void ps_put_tree(struct strbuf *out, const struct ps_task *first, size_t count)
{
	struct tree t = {
		.tasks = first,
		.count = count,
		.edges = reserve(2 * count, sizeof(*t.edges)),
		.first_edge = reserve(count + 1, sizeof(*t.first_edge)),
		.drawn = reserve(count, sizeof(*t.drawn)),
		.open = reserve(count, sizeof(*t.open)),
		.has_parent = reserve(count, sizeof(*t.has_parent)),
		.path = reserve(count, sizeof(*t.path)),
	};

	find_edges(&t);
	for (size_t i = 0; i < count; i++)
		if (!t.has_parent[i])
			put_branch(out, &t, i);
	for (size_t i = 0; i < count; i++) /* rings that nobody outside waits for */
		if (!t.drawn[i])
			put_branch(out, &t, i);
	free(t.edges);
	free(t.first_edge);
	free(t.drawn);
	free(t.open);
	free(t.has_parent);
	free(t.path);
}
