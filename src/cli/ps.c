#include "ps.h"
#include "columns.h"
#include "output.h"
#include "session.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NSEC INT64_C(1000000000)
#define BUSY_NS NSEC /* a loop that hasn't looked for events for so long is worth a word */

static bool tree, all, stacks;
static const char *worker_text;

static const struct flag flags[] = {
	{ "worker", 0, "SLOT", "the daemon's worker of that number", .text = &worker_text },
	{ "tree", 0, NULL, "draw each task below the one that awaits it", .on = &tree },
	{ "all", 0, NULL, "also tasks that have ended and are still held", .on = &all },
	{ "stacks", 0, NULL, "where tasks are spawned, and how much stack they used", .on = &stacks },
	{ 0 },
};

static void put_seconds(struct strbuf *out, const json_t *value)
{
	ps_put_time(out, (int64_t)(json_number_value(value) * 1e9));
}

static const struct column task_columns[] = {
	{ "worker", "WORKER", true, NULL },
	{ "pid", "PID", true, NULL },
	{ "id", "ID", true, NULL },
	{ "name", "NAME", false, NULL },
	{ "state", "STATE", false, NULL },
	{ "waits_for", "WAITS FOR", false, NULL },
	{ "for", "FOR", true, put_seconds },
	{ "age", "AGE", true, put_seconds },
	{ "awaits", "AWAITS", true, NULL },
	{ "awaited_by", "AWAITED BY", true, NULL },
	{ "cancels", "CANCELS", true, NULL },
	{ "site", "SITE", false, NULL },
	{ 0 },
};

static const struct column stack_columns[] = {
	{ "pid", "PID", true, NULL },
	{ "name", "NAME", false, NULL },
	{ "tasks", "TASKS", true, NULL },
	{ "stack", "STACK", true, NULL },
	{ "used", "USED", true, NULL },
	{ "site", "SITE", false, NULL },
	{ 0 },
};

static void list_add(struct ps_list *list, const struct ga_task_info *info, pid_t pid, int worker)
{
	struct ps_task *task;

	if (list->count == list->room) {
		list->room = list->room ? 2 * list->room : 64;
		list->item = reallocarray(list->item, list->room, sizeof(*list->item));
		if (!list->item)
			abort();
	}
	task = &list->item[list->count++];
	*task = (struct ps_task){ .info = *info, .pid = pid, .worker = worker };
	task->info.name = strdup(info->name);
	task->info.site = strdup(info->site);
	task->info.waits_for = strdup(info->waits_for);
	if (!task->info.name || !task->info.site || !task->info.waits_for)
		abort();
}

static void list_free(struct ps_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		free((char *)(uintptr_t)list->item[i].info.name);
		free((char *)(uintptr_t)list->item[i].info.site);
		free((char *)(uintptr_t)list->item[i].info.waits_for);
	}
	free(list->item);
}

static int by_loop_and_id(const void *a, const void *b)
{
	const struct ps_task *x = a, *y = b;

	if (x->info.loop != y->info.loop)
		return x->info.loop < y->info.loop ? -1 : 1;
	return x->info.id < y->info.id ? -1 : x->info.id > y->info.id;
}

static json_t *task_row(const struct ps_task *task)
{
	static const char *const states[] = { "new", "running", "parked", "ready", "done" };
	const struct ga_task_info *i = &task->info;
	json_t *row = json_pack("{sI sI ss ss ss sf sf sI sb ss}", "pid", (json_int_t)task->pid,
				"id", (json_int_t)i->id, "name", i->name, "state", states[i->state],
				"site", i->site, "for", (double)i->since_ns / 1e9, "age",
				(double)i->age_ns / 1e9, "loop", (json_int_t)i->loop, "on_cpu",
				i->is_on_cpu, "waits_for", i->waits_for);

	if (task->worker >= 0)
		json_object_set_new(row, "worker", json_integer(task->worker));
	if (i->awaits)
		json_object_set_new(row, "awaits", json_integer((json_int_t)i->awaits));
	if (i->awaited_by)
		json_object_set_new(row, "awaited_by", json_integer((json_int_t)i->awaited_by));
	if (i->cancels)
		json_object_set_new(row, "cancels", json_integer(i->cancels));
	return row;
}

/* Of a loop that is stuck: who has it. */
static void say_busy(const ga_tasks *tasks, const struct ps_list *list, size_t begin, pid_t pid)
{
	struct ga_loop_info loop;

	for (unsigned n = 0; ga_tasks_loop(tasks, n, &loop); n++) {
		const struct ga_task_info *culprit = NULL;
		struct strbuf time = { 0 };

		if (loop.busy_ns < BUSY_NS)
			continue;
		for (size_t i = begin; i < list->count; i++)
			if (list->item[i].info.loop == n && list->item[i].info.is_on_cpu)
				culprit = &list->item[i].info;
		ps_put_time(&time, loop.busy_ns);
		if (culprit)
			say("process %d: its loop has been stuck for %s in task %llu %s (%s)",
			    (int)pid, sb_string(&time), (unsigned long long)culprit->id,
			    culprit->name, culprit->site);
		else
			say("process %d: its loop has been stuck for %s, outside of its tasks",
			    (int)pid, sb_string(&time));
		sb_free(&time);
	}
}

static void put_trees(const struct ps_list *list, size_t begin, pid_t pid, int worker)
{
	size_t end;

	if (worker >= 0)
		sb_printf(output(), "worker %d, ", worker);
	sb_printf(output(), "process %d:\n", (int)pid);
	for (; begin < list->count; begin = end) {
		end = begin;
		while (end < list->count && list->item[end].info.loop == list->item[begin].info.loop)
			end++;
		ps_put_tree(output(), &list->item[begin], end - begin);
	}
}

static void add_sites(ga_tasks *tasks, pid_t pid, json_t *rows)
{
	const struct ga_site_use *use;

	while ((use = ga_tasks_next_site(tasks)) != NULL) {
		json_t *row;

		if (use->tasks == 0)
			continue;
		row = json_pack("{sI ss ss sI}", "pid", (json_int_t)pid, "name", use->name, "site",
				use->site, "tasks", (json_int_t)use->tasks);
		if (use->stack_bytes)
			json_object_set_new(row, "stack", json_integer((json_int_t)use->stack_bytes));
		if (use->used_bytes)
			json_object_set_new(row, "used", json_integer((json_int_t)use->used_bytes));
		json_array_append_new(rows, row);
	}
}

static int not_seen(pid_t pid, int error)
{
	switch (error) {
	case -ESRCH:
		say("there is no process %d", (int)pid);
		return STATUS_FAILED;
	case -EACCES:
	case -EPERM:
		say("process %d may not be looked into: it belongs to another user", (int)pid);
		return STATUS_NOT_ALLOWED;
	case -ENODATA:
		say("process %d shows no tasks: it runs no loop of libgather, or with GATHER_TASKS=0",
		    (int)pid);
		return STATUS_FAILED;
	case -EPROTO:
		say("process %d: its table of tasks is damaged, or of another version", (int)pid);
		return STATUS_FAILED;
	default:
		say("process %d: %s", (int)pid, strerror(-error));
		return STATUS_FAILED;
	}
}

/* One process: into the list, or at once as a tree. */
static int show_process(pid_t pid, int worker, struct ps_list *list, json_t *rows)
{
	const struct ga_task_info *info;
	size_t begin = list->count;
	ga_tasks *tasks;
	int r = ga_tasks_open(pid, &tasks);

	if (r < 0)
		return not_seen(pid, r);
	while ((info = ga_tasks_next(tasks)) != NULL)
		if (all || info->state != GA_TASK_DONE)
			list_add(list, info, pid, worker);
	if (list->count > begin)
		qsort(&list->item[begin], list->count - begin, sizeof(*list->item), by_loop_and_id);
	if (stacks)
		add_sites(tasks, pid, rows);
	else if (tree)
		put_trees(list, begin, pid, worker);
	say_busy(tasks, list, begin, pid);
	ga_tasks_close(tasks);
	return STATUS_OK;
}

static int show_workers(struct context *x, struct ps_list *list, json_t *rows)
{
	struct ga_response response;
	int status = ask(x, "GET", "/v1/workers", &response);
	bool found = false;
	json_t *root, *workers;

	if (status != STATUS_OK)
		return status;
	root = json_loadb(response.body.data, response.body.size, 0, NULL);
	workers = json_object_get(root, "workers");
	for (size_t i = 0; i < json_array_size(workers); i++) {
		const json_t *w = json_array_get(workers, i);
		json_int_t slot = json_integer_value(json_object_get(w, "slot"));
		json_int_t pid = json_integer_value(json_object_get(w, "pid"));
		int shown;

		if (pid <= 0 || (worker_text && strtoll(worker_text, NULL, 10) != slot))
			continue;
		found = true;
		shown = show_process((pid_t)pid, (int)slot, list, rows);
		status = status == STATUS_OK ? shown : status;
	}
	json_decref(root);
	if (worker_text && !found) {
		say("there is no worker %s", worker_text);
		return STATUS_FAILED;
	}
	return status;
}

static int check(const struct context *x)
{
	char *end;

	if (worker_text) {
		(void)strtoll(worker_text, &end, 10);
		if (end == worker_text || *end)
			return usage(x, "--worker takes the number of a worker, not '%s'", worker_text);
		if (x->command.operands.count > 0)
			return usage(x, "either --worker or process ids");
	}
	if (tree && (x->format != FORMAT_TEXT || stacks))
		return usage(x, "--tree is text; the tasks' rows hold who awaits whom");
	for (size_t i = 0; i < x->command.operands.count; i++) {
		const char *operand = x->command.operands.item[i];

		if (strtoll(operand, &end, 10) <= 0 || *end)
			return usage(x, "'%s' is no process id", operand);
	}
	return STATUS_OK;
}

static int run(struct context *x)
{
	struct ps_list list = { 0 };
	json_t *rows = json_array();
	int status = check(x);

	if (status == STATUS_OK && x->command.operands.count == 0)
		status = show_workers(x, &list, rows);
	else
		for (size_t i = 0; i < x->command.operands.count && status == STATUS_OK; i++)
			status = show_process((pid_t)strtoll(x->command.operands.item[i], NULL, 10),
					      -1, &list, rows);
	for (size_t i = 0; i < list.count && !stacks; i++)
		json_array_append_new(rows, task_row(&list.item[i]));
	if (!tree)
		put_rows(x, rows, stacks ? "site" : "id", stacks ? stack_columns : task_columns);
	json_decref(rows);
	list_free(&list);
	return status;
}

const struct verb verb_ps = {
	.name = "ps",
	.operands = "[PID...]",
	.summary = "list the tasks of the workers, or of any program with libgather",
	.details = "Nothing is asked of the process, which may be stuck: its table of tasks is read.\n",
	.examples = "  gather ps                  of all workers\n"
		    "  gather ps --tree 1234      who awaits whom in process 1234\n"
		    "  gather ps --worker 0 -o json\n",
	.flags = flags,
	.not_local = "a private daemon has no tasks yet",
	.run = run,
};
