/*
 * task_reader.c — copies of task tables that another process writes meanwhile, or that somebody forged.
 *
 * All is read by pread(2), not mapped: a file that shrinks gives less then, not SIGBUS, and reading a hole fills none in.
 * A row counts once two copies of it are equal: its ticket and its id never return to what they were, so it stood like
 * that between the two. What is busier than that is shown by what doesn't change: its name and its place.
 */
#include "task_reader.h"
#include "clock.h"
#include "compiler.h"
#include "task_table.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READS_MAX 8
#define TABLES_MAX 1024u /* loops of a process that are looked at */

struct seen_row {
	struct task_row row;
	uint32_t ref;
};

struct table {
	struct table_header header;
	struct table_kind kinds[TABLE_KINDS];
	struct table_site *sites;
	struct table_detail *details;
	struct seen_row *rows; /* by rising ref */
	size_t count, room;
};

struct ga_tasks {
	struct table **tables;
	unsigned count;
	int64_t now;
	unsigned table; /* of the next row */
	size_t row;
	unsigned site_table; /* of the next site */
	uint32_t site;
	struct ga_task_info info;
	struct ga_site_use use;
	char waits_for[128];
};

static int open_tables(ga_tasks *tasks, int fds);
static int add_table(ga_tasks *tasks, int fd);
static int read_table(struct table *t, int fd);
static bool is_sound(const struct table_header *h, uint64_t file_bytes);
static int read_texts(struct table *t, int fd);
static int read_chunk(struct table *t, int fd, uint32_t number, char *copies);
static int settle_row(struct table *t, int fd, uint64_t at, struct task_row *row);
static int add_row(struct table *t, const struct task_row *row, uint64_t at);
static bool read_exactly(int fd, void *to, size_t size, uint64_t at);
static void table_free(struct table *t);
static void describe(ga_tasks *tasks, const struct table *t, const struct seen_row *seen);
static void describe_wait(ga_tasks *tasks, const struct table *t, const struct task_row *row);
static const struct seen_row *find_row(const struct table *t, uint32_t ref);

int ga_tasks_open(pid_t pid, ga_tasks **ret_tasks)
{
	char path[64];
	ga_tasks *tasks;
	int fds, r;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	fds = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fds < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	tasks = calloc(1, sizeof(*tasks));
	r = tasks ? open_tables(tasks, fds) : -ENOMEM;
	if (r >= 0 && tasks->count == 0)
		r = -ENODATA;
	close(fds);
	if (r < 0) {
		ga_tasks_close(tasks);
		return r;
	}
	tasks->now = clock_monotonic();
	*ret_tasks = tasks;
	return 0;
}

int tasks_open_fd(int fd, ga_tasks **ret_tasks)
{
	ga_tasks *tasks = calloc(1, sizeof(*tasks));
	int r = tasks ? add_table(tasks, fd) : -ENOMEM;

	if (r < 0) {
		ga_tasks_close(tasks);
		return r;
	}
	tasks->now = clock_monotonic();
	*ret_tasks = tasks;
	return 0;
}

void ga_tasks_close(ga_tasks *tasks)
{
	if (!tasks)
		return;
	for (unsigned i = 0; i < tasks->count; i++)
		table_free(tasks->tables[i]);
	free(tasks->tables);
	free(tasks);
}

const struct ga_task_info *ga_tasks_next(ga_tasks *tasks)
{
	for (; tasks->table < tasks->count; tasks->table++, tasks->row = 0) {
		const struct table *t = tasks->tables[tasks->table];

		if (tasks->row == t->count)
			continue;
		describe(tasks, t, &t->rows[tasks->row++]);
		return &tasks->info;
	}
	return NULL;
}

void ga_tasks_rewind(ga_tasks *tasks)
{
	tasks->table = tasks->site_table = 0;
	tasks->row = 0;
	tasks->site = 0;
}

bool ga_tasks_loop(const ga_tasks *tasks, unsigned loop, struct ga_loop_info *ret_info)
{
	const struct table_header *h;

	if (loop >= tasks->count)
		return false;
	h = &tasks->tables[loop]->header;
	*ret_info = (struct ga_loop_info){
		.thread = (int)h->tid,
		.polls = h->polling != 0 || !h->turning,
		.turns = h->turns,
	};
	if (h->turning && !h->polling && h->turn_began > 0 && tasks->now > h->turn_began)
		ret_info->busy_ns = tasks->now - h->turn_began;
	return true;
}

const struct ga_site_use *ga_tasks_next_site(ga_tasks *tasks)
{
	for (; tasks->site_table < tasks->count; tasks->site_table++, tasks->site = 0) {
		const struct table *t = tasks->tables[tasks->site_table];
		const struct table_site *s;

		if (tasks->site >= t->header.site_count)
			continue;
		s = &t->sites[tasks->site++];
		tasks->use = (struct ga_site_use){ .name = s->name,
						   .site = s->place,
						   .tasks = s->tasks,
						   .stack_bytes = s->stack_bytes,
						   .used_bytes = s->used_bytes };
		return &tasks->use;
	}
	return NULL;
}

/* The descriptors of the process by their names. A table that is damaged hides no other. */
static int open_tables(ga_tasks *tasks, int fds)
{
	static const char name[] = "/memfd:" TASK_TABLE_NAME " (deleted)";
	DIR *dir = fdopendir(fcntl(fds, F_DUPFD_CLOEXEC, 0));
	struct dirent *entry;
	int r = 0, bad = 0;

	if (!dir)
		return -errno;
	while (r != -ENOMEM && tasks->count < TABLES_MAX && (entry = readdir(dir)) != NULL) {
		char target[sizeof(name) + 1];
		ssize_t size = readlinkat(fds, entry->d_name, target, sizeof(target));
		int fd;

		if (size < 0 && errno == EACCES)
			bad = -EACCES;
		if (size != sizeof(name) - 1 || memcmp(target, name, sizeof(name) - 1) != 0)
			continue;
		fd = openat(fds, entry->d_name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (fd < 0) {
			bad = errno == ENOENT ? bad : -errno;
			continue;
		}
		r = add_table(tasks, fd);
		bad = r < 0 ? r : bad;
		close(fd);
	}
	closedir(dir);
	return tasks->count > 0 && r != -ENOMEM ? 0 : bad;
}

static int add_table(ga_tasks *tasks, int fd)
{
	struct table **tables = reallocarray(tasks->tables, tasks->count + 1, sizeof(*tables));
	struct table *t;
	int r;

	if (!tables)
		return -ENOMEM;
	tasks->tables = tables;
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	r = read_table(t, fd);
	if (r < 0) {
		table_free(t);
		return r;
	}
	tables[tasks->count++] = t;
	return 0;
}

static int read_table(struct table *t, int fd)
{
	struct stat st;
	char *copies;
	int r;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
	    !read_exactly(fd, &t->header, sizeof(t->header), 0) ||
	    !is_sound(&t->header, (uint64_t)st.st_size))
		return -EPROTO;
	r = read_texts(t, fd);
	copies = r < 0 ? NULL : malloc(2 * (size_t)t->header.chunk_bytes);
	if (r >= 0 && !copies)
		r = -ENOMEM;
	for (uint32_t i = 0; i < t->header.chunk_count && r >= 0; i++)
		r = read_chunk(t, fd, i, copies);
	free(copies);
	return r;
}

/* Whether all that it points to is in the file, and its sizes are such as a table has. */
static bool is_sound(const struct table_header *h, uint64_t file_bytes)
{
	return h->magic == TASK_TABLE_MAGIC && h->version == TASK_TABLE_VERSION &&
	       h->row_bytes >= sizeof(struct task_row) && h->row_bytes <= 4096 &&
	       h->row_bytes % 8 == 0 && h->chunk_bytes == TABLE_CHUNK_BYTES &&
	       h->kind_count <= TABLE_KINDS && h->site_count <= TABLE_SITES &&
	       h->detail_count <= TABLE_DETAILS && h->chunk_count <= TABLE_CHUNKS_MAX &&
	       h->chunks_at % 8 == 0 &&
	       (uint64_t)h->chunks_at + (uint64_t)h->chunk_count * h->chunk_bytes <= file_bytes;
}

static int read_texts(struct table *t, int fd)
{
	const struct table_header *h = &t->header;

	t->sites = calloc(h->site_count + 1, sizeof(*t->sites));
	t->details = calloc(h->detail_count + 1, sizeof(*t->details));
	if (!t->sites || !t->details)
		return -ENOMEM;
	if (!read_exactly(fd, t->kinds, h->kind_count * sizeof(*t->kinds), h->kinds_at) ||
	    !read_exactly(fd, t->sites, h->site_count * sizeof(*t->sites), h->sites_at) ||
	    !read_exactly(fd, t->details, h->detail_count * sizeof(*t->details), h->details_at))
		return -EPROTO;
	for (uint32_t i = 0; i < h->kind_count; i++)
		t->kinds[i].name[sizeof(t->kinds[i].name) - 1] = '\0';
	for (uint32_t i = 0; i < h->site_count; i++) {
		t->sites[i].name[sizeof(t->sites[i].name) - 1] = '\0';
		t->sites[i].place[sizeof(t->sites[i].place) - 1] = '\0';
	}
	for (uint32_t i = 0; i < h->detail_count; i++)
		t->details[i].text[sizeof(t->details[i].text) - 1] = '\0';
	return 0;
}

static int read_chunk(struct table *t, int fd, uint32_t number, char *copies)
{
	uint32_t size = t->header.chunk_bytes;
	uint64_t at = t->header.chunks_at + (uint64_t)number * size;
	off_t data = lseek(fd, (off_t)at, SEEK_DATA);

	if ((data < 0 && errno == ENXIO) || data >= (off_t)(at + size))
		return 0; /* a hole */
	if (!read_exactly(fd, copies, size, at) || !read_exactly(fd, copies + size, size, at))
		return -EPROTO;
	for (uint32_t offset = 0; offset + t->header.row_bytes <= size; offset += t->header.row_bytes) {
		struct task_row row, again;
		int r = 1;

		memcpy(&row, copies + offset, sizeof(row));
		memcpy(&again, copies + size + offset, sizeof(again));
		if (memcmp(&row, &again, sizeof(row)) != 0)
			r = settle_row(t, fd, at + offset, &again);
		if (r > 0)
			r = add_row(t, &again, at + offset);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Read until two copies are equal. 0: other tasks take turns in this slot, and none stays. */
static int settle_row(struct table *t, int fd, uint64_t at, struct task_row *row)
{
	struct task_row before = *row;

	for (int i = 0; i < READS_MAX; i++) {
		before = *row;
		if (!read_exactly(fd, row, sizeof(*row), at))
			return -EPROTO;
		if (memcmp(row, &before, sizeof(before)) == 0)
			return 1;
	}
	(void)t;
	if (row->id != before.id || row->site != before.site)
		return 0;
	row->kind = 0;
	row->target_is = TARGET_NONE;
	row->waiter = 0;
	return 1;
}

static int add_row(struct table *t, const struct task_row *row, uint64_t at)
{
	if (row->id == 0 || row->state > TASK_DONE || row->target_is > TARGET_DETAIL)
		return 0;
	if (t->count == t->room) {
		size_t room = t->room ? t->room * 2 : 64;
		struct seen_row *rows = reallocarray(t->rows, room, sizeof(*rows));

		if (!rows)
			return -ENOMEM;
		t->rows = rows;
		t->room = room;
	}
	t->rows[t->count++] = (struct seen_row){ .row = *row, .ref = (uint32_t)(at / 8) };
	return 0;
}

static bool read_exactly(int fd, void *to, size_t size, uint64_t at)
{
	char *p = to;

	while (size > 0) {
		ssize_t n = pread(fd, p, size, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		p += n;
		at += (uint64_t)n;
		size -= (size_t)n;
	}
	return true;
}

static void table_free(struct table *t)
{
	if (!t)
		return;
	free(t->sites);
	free(t->details);
	free(t->rows);
	free(t);
}

static void describe(ga_tasks *tasks, const struct table *t, const struct seen_row *seen)
{
	const struct task_row *row = &seen->row;
	const struct table_site *site = row->site < t->header.site_count ? &t->sites[row->site] : NULL;
	const struct seen_row *other;

	tasks->info = (struct ga_task_info){
		.id = row->id,
		.loop = tasks->table,
		.state = (enum ga_task_state)row->state,
		.is_on_cpu = row->state == TASK_RUNNING &&
			     t->header.running - t->header.origin == seen->ref,
		.name = site ? site->name : "",
		.site = site ? site->place : "",
		.waits_for = "",
		.since_ns = row->since > 0 && tasks->now > row->since ? tasks->now - row->since : 0,
		.age_ns = row->born > 0 && tasks->now > row->born ? tasks->now - row->born : 0,
		.cancels = row->cancels,
		.stack_bytes = row->stack_bytes,
	};
	if (row->state == TASK_PARKED)
		describe_wait(tasks, t, row);
	other = row->waiter && row->state != TASK_DONE ? find_row(t, row->waiter) : NULL;
	if (other && other->row.state == TASK_PARKED && other->row.ticket == row->waiter_ticket)
		tasks->info.awaited_by = other->row.id;
}

static void describe_wait(ga_tasks *tasks, const struct table *t, const struct task_row *row)
{
	const char *kind = row->kind && row->kind < t->header.kind_count ? t->kinds[row->kind].name
									 : "";
	const struct seen_row *other;

	tasks->info.waits_for = kind;
	switch ((enum task_target)row->target_is) {
	case TARGET_NONE:
		return;
	case TARGET_TASK:
		other = find_row(t, row->target);
		if (other)
			tasks->info.awaits = other->row.id;
		return;
	case TARGET_FD:
	case TARGET_COUNT:
		snprintf(tasks->waits_for, sizeof(tasks->waits_for), "%s %u", kind, row->target);
		break;
	case TARGET_DETAIL:
		if (row->target >= t->header.detail_count)
			return;
		snprintf(tasks->waits_for, sizeof(tasks->waits_for), "%s %s", kind,
			 t->details[row->target].text);
		break;
	}
	tasks->info.waits_for = tasks->waits_for;
}

/* By a reference of the writer's. */
static const struct seen_row *find_row(const struct table *t, uint32_t ref)
{
	size_t low = 0, high = t->count;

	ref -= t->header.origin;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (t->rows[middle].ref < ref)
			low = middle + 1;
		else
			high = middle;
	}
	return low < t->count && t->rows[low].ref == ref ? &t->rows[low] : NULL;
}
