#include "disk_parts.h"
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void change_file(struct disk *d, const struct shim_record *r);
static void move_name(struct disk *d, const struct shim_record *r);
static void sync_end(struct disk *d, const char *base, const struct shim_record *r, bool failed);

struct disk *disk_new(void)
{
	struct disk *d = calloc(1, sizeof(*d));

	if (!d)
		errx(2, "no memory");
	return d;
}

void disk_free(struct disk *d)
{
	for (size_t i = 0; i < d->file_count; i++) {
		free(d->files[i]->bytes);
		free(d->files[i]->changes);
		free(d->files[i]);
	}
	free(d->files);
	free(d->names);
	free(d->moves);
	free(d);
}

void *disk_more(void *array, size_t *count, size_t *room, size_t element)
{
	if (*count == *room) {
		*room = *room ? *room * 2 : 8;
		array = realloc(array, *room * element);
		if (!array)
			errx(2, "no memory");
	}
	memset((char *)array + *count * element, 0, element);
	(*count)++;
	return array;
}

void disk_reserve(char **bytes, size_t *room, size_t size)
{
	if (size <= *room)
		return;
	size_t larger = size > 2 * *room ? size : 2 * *room;

	*bytes = realloc(*bytes, larger);
	if (!*bytes)
		errx(2, "no memory");
	memset(*bytes + *room, 0, larger - *room);
	*room = larger;
}

static struct disk_file *file_of(const struct disk *d, uint64_t number)
{
	for (size_t i = d->file_count; i-- > 0;)
		if (d->files[i]->number == number)
			return d->files[i];
	return NULL;
}

void disk_apply(struct disk *d, const char *base, const struct shim_record *r)
{
	switch ((enum shim_op)r->op) {
	case SHIM_WRITE:
	case SHIM_TRUNCATE:
	case SHIM_EXTEND:
		change_file(d, r);
		break;
	case SHIM_FOUND: /* who made it was killed before it could say so */
		if (!file_of(d, r->file))
			move_name(d, r);
		break;
	case SHIM_CREATE:
	case SHIM_LINK:
	case SHIM_RENAME:
	case SHIM_UNLINK:
	case SHIM_DIRECTORY:
		move_name(d, r);
		break;
	case SHIM_SYNC_END:
		sync_end(d, base, r, false);
		break;
	case SHIM_SYNC_FAILED:
		sync_end(d, base, r, true);
		break;
	case SHIM_SYNC_BEGIN:
	case SHIM_FAULT:
	case SHIM_PROBLEM:
	case SHIM_MARK:
		break;
	}
}

size_t disk_pending(const struct disk *d)
{
	size_t count = d->move_count;

	for (size_t i = 0; i < d->file_count; i++)
		count += d->files[i]->change_count;
	return count;
}

static void change_file(struct disk *d, const struct shim_record *r)
{
	struct disk_file *f = file_of(d, r->file);

	if (!f)
		errx(2, "the log speaks of a file that it hasn't introduced (inode %llu)",
		     (unsigned long long)r->file);
	struct disk_change *c = DISK_MORE(f->changes, f->change_count, f->change_room);

	*c = (struct disk_change){ .at = (uint64_t)(uintptr_t)r,
				   .op = r->op,
				   .offset = r->offset,
				   .length = r->length,
				   .data = (const char *)(r + 1) };
}

static void path_copy(char to[256], const char *from, size_t size)
{
	if (size >= 256)
		errx(2, "a path is too long");
	memcpy(to, from, size);
	to[size] = '\0';
}

static void move_name(struct disk *d, const struct shim_record *r)
{
	const char *data = (const char *)(r + 1);
	struct disk_file *f = NULL;

	if (r->op == SHIM_CREATE || r->op == SHIM_FOUND) {
		f = calloc(1, sizeof(*f));
		if (!f)
			errx(2, "no memory");
		f->number = r->file;
		*DISK_MORE(d->files, d->file_count, d->file_room) = f;
		if (r->data_size == 0)
			return;
	}
	struct disk_move *m = DISK_MORE(d->moves, d->move_count, d->move_room);
	size_t size = strnlen(data, r->data_size);

	m->at = (uint64_t)(uintptr_t)r;
	m->op = r->op;
	m->file = r->op == SHIM_LINK ? file_of(d, r->file) : f;
	path_copy(m->path, data, size);
	if (r->op == SHIM_RENAME)
		path_copy(m->to, data + size + 1, r->data_size - size - 1);
}

static struct disk_name *name_find(struct disk_name *names, size_t count, const char *path)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(names[i].path, path) == 0)
			return &names[i];
	return NULL;
}

/* What can't be done, because something before it was lost, isn't. */
void disk_names_move(struct disk_name **names, size_t *count, size_t *room, const struct disk_move *m)
{
	struct disk_name *name = name_find(*names, *count, m->path), *to;
	struct disk_name source;

	switch (m->op) {
	case SHIM_UNLINK:
		if (name)
			name->path[0] = '\0';
		break;
	case SHIM_RENAME:
		if (!name)
			break;
		source = *name;
		name->path[0] = '\0';
		to = name_find(*names, *count, m->to);
		if (!to)
			to = DISK_MORE(*names, *count, *room);
		*to = source;
		memcpy(to->path, m->to, sizeof(to->path));
		break;
	default:
		if (!name)
			name = DISK_MORE(*names, *count, *room);
		memcpy(name->path, m->path, sizeof(name->path));
		name->file = m->file;
	}
}

static bool is_in(const char *path, const char *directory)
{
	size_t size = strlen(directory);

	if (size && (strncmp(path, directory, size) != 0 || path[size] != '/'))
		return false;
	return !strchr(path + size + (size > 0), '/');
}

static void sync_names(struct disk *d, const char *directory, uint64_t before)
{
	size_t kept = 0;

	for (size_t i = 0; i < d->move_count; i++) {
		struct disk_move *m = &d->moves[i];

		if (m->at < before &&
		    (is_in(m->path, directory) || (m->op == SHIM_RENAME && is_in(m->to, directory))))
			disk_names_move(&d->names, &d->name_count, &d->name_room, m);
		else
			d->moves[kept++] = *m;
	}
	d->move_count = kept;
}

/* Whether a change that isn't doomed touches this page. */
static bool is_rewritten(const struct disk_file *f, size_t from, uint64_t before, uint64_t page)
{
	for (size_t i = from; i < f->change_count && f->changes[i].at < before; i++) {
		const struct disk_change *c = &f->changes[i];

		if (!c->doomed && c->op == SHIM_WRITE && c->offset < (page + 1) * DISK_PAGE &&
		    c->offset + c->length > page * DISK_PAGE)
			return true;
	}
	return false;
}

static void put(struct disk_file *f, const struct disk_change *c)
{
	size_t end = c->op == SHIM_WRITE ? c->offset + c->length : c->length;

	disk_reserve(&f->bytes, &f->room, end);
	switch (c->op) {
	case SHIM_WRITE:
		memcpy(f->bytes + c->offset, c->data, c->length);
		f->size = end > f->size ? end : f->size;
		break;
	case SHIM_TRUNCATE:
		if (end < f->size)
			memset(f->bytes + end, 0, f->size - end);
		f->size = end;
		break;
	default:
		f->size = end > f->size ? end : f->size;
	}
}

static void sync_data(struct disk_file *f, uint64_t before)
{
	size_t kept = 0;

	for (size_t i = 0; i < f->change_count; i++) {
		struct disk_change c = f->changes[i];

		if (c.at < before && (!c.doomed || is_rewritten(f, i, before, c.offset / DISK_PAGE)))
			put(f, &c);
		else
			f->changes[kept++] = c;
	}
	f->change_count = kept;
}

/* Page by page, because each may be written again by itself. */
static void doom(struct disk_file *f, uint64_t before)
{
	size_t count = f->change_count;
	struct disk_change *old = f->changes;

	f->changes = NULL;
	f->change_count = f->change_room = 0;
	for (size_t i = 0; i < count; i++) {
		struct disk_change c = old[i];
		uint64_t end = c.offset + c.length;

		if (c.at >= before || c.op != SHIM_WRITE || c.doomed) {
			*DISK_MORE(f->changes, f->change_count, f->change_room) = c;
			continue;
		}
		c.doomed = true;
		while (c.offset < end) {
			uint64_t next = (c.offset / DISK_PAGE + 1) * DISK_PAGE;

			c.length = (next < end ? next : end) - c.offset;
			*DISK_MORE(f->changes, f->change_count, f->change_room) = c;
			c.offset += c.length;
			c.data += c.length;
		}
	}
	free(old);
}

static void sync_end(struct disk *d, const char *base, const struct shim_record *r, bool failed)
{
	const struct shim_record *begin = (const void *)(base + r->offset);
	struct disk_file *f = file_of(d, r->file);
	char directory[256];

	if (begin->op != SHIM_SYNC_BEGIN || begin->file != r->file)
		errx(2, "the log's syncs don't match");
	if (f && failed) {
		doom(f, (uint64_t)(uintptr_t)begin);
	} else if (f) {
		sync_data(f, (uint64_t)(uintptr_t)begin);
	} else if (!failed) {
		path_copy(directory, (const char *)(begin + 1), begin->data_size);
		sync_names(d, directory, (uint64_t)(uintptr_t)begin);
	}
}
