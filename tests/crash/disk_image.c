#include "disk_parts.h"
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum fate {
	FATE_NONE,   /* nothing that wasn't synced is kept */
	FATE_ALL,    /* everything is */
	FATE_ANY,    /* each unit as of any moment since the last sync */
	FATE_COIN,   /* each unit as it was, or as it is */
	FATE_PREFIX, /* as of one moment for all, the write at that moment torn */
	FATE_HOLES,  /* as it is, but for one unit in eight */
	FATE_SPOTS,  /* as it was, but for one unit in eight */
	FATE_COUNT
};
static const char *const fate_names[] = { "none", "all", "any", "coin", "prefix", "holes", "spots" };

struct choice {
	uint64_t seed;
	enum fate fate;
	uint64_t unit;
	uint64_t moment; /* PREFIX: changes at or after it are lost */
	bool names_in_order;
};

static uint64_t mix(uint64_t a, uint64_t b)
{
	uint64_t x = a * 0x9e3779b97f4a7c15u + b;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

/* How many of n changes a unit has seen. */
static size_t seen_by(const struct choice *c, uint64_t dice, size_t n)
{
	switch (c->fate) {
	case FATE_NONE:
		return 0;
	case FATE_ANY:
		return dice % (n + 1);
	case FATE_COIN:
		return dice & 1 ? n : 0;
	case FATE_HOLES:
		return dice % 8 ? n : (dice >> 8) % (n + 1);
	case FATE_SPOTS:
		return dice % 8 ? 0 : (dice >> 8) % (n + 1);
	default:
		return n;
	}
}

static size_t changes_before(const struct disk_file *f, uint64_t moment)
{
	size_t n = 0;

	while (n < f->change_count && f->changes[n].at < moment)
		n++;
	return n;
}

static void write_units(const struct choice *c, const struct disk_file *f, size_t index, char *bytes)
{
	const struct disk_change *change = &f->changes[index];
	uint64_t at = change->offset, end = at + change->length;
	size_t known = c->fate == FATE_PREFIX ? changes_before(f, c->moment) : 0;

	while (at < end) {
		uint64_t unit = at / c->unit, next = (unit + 1) * c->unit;
		uint64_t dice = mix(c->seed, f->number * 1000003 + unit);
		size_t seen = seen_by(c, dice, f->change_count);

		if (c->fate == FATE_PREFIX)
			seen = known + (dice & 1); /* the write at the moment is torn */
		if (change->doomed && mix(dice, change->at) % 4)
			seen = 0;
		next = next < end ? next : end;
		if (index < seen)
			memcpy(bytes + at, change->data + (at - change->offset), next - at);
		at = next;
	}
}

static size_t room_of(const struct disk_file *f)
{
	size_t room = f->size;

	for (size_t i = 0; i < f->change_count; i++) {
		const struct disk_change *c = &f->changes[i];
		size_t end = c->op == SHIM_WRITE ? c->offset + c->length : c->length;

		room = end > room ? end : room;
	}
	return room;
}

static size_t size_after(const struct disk_file *f, size_t changes)
{
	size_t size = f->size;

	for (size_t i = 0; i < changes; i++) {
		const struct disk_change *c = &f->changes[i];
		size_t end = c->op == SHIM_WRITE ? c->offset + c->length : c->length;

		if (c->op == SHIM_TRUNCATE || end > size)
			size = end;
	}
	return size;
}

static void file_write(int dir, const char *path, const char *bytes, size_t size)
{
	int fd = openat(dir, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 && errno == ENOENT)
		return; /* its directory is lost, and it too */
	if (fd < 0 || write(fd, bytes, size) != (ssize_t)size || close(fd) < 0)
		err(2, "an image: %s", path);
}

static void file_image(const struct choice *c, const struct disk_file *f, int dir, const char *path)
{
	size_t room = room_of(f);
	char *bytes = calloc(1, room + 1);
	uint64_t dice = mix(c->seed, f->number * 1000003 + UINT32_MAX);
	size_t sized = c->fate == FATE_PREFIX ? changes_before(f, c->moment) + (dice & 1)
					      : seen_by(c, dice, f->change_count);

	if (!bytes)
		errx(2, "no memory");
	if (sized > f->change_count)
		sized = f->change_count;
	if (f->size)
		memcpy(bytes, f->bytes, f->size);
	for (size_t i = 0; i < f->change_count; i++) {
		const struct disk_change *change = &f->changes[i];

		if (change->op == SHIM_WRITE)
			write_units(c, f, i, bytes);
		else if (change->op == SHIM_TRUNCATE &&
			 i < sized) /* blocks that were given up don't come back */
			memset(bytes + change->length, 0, room - change->length);
	}
	file_write(dir, path, bytes, size_after(f, sized));
	free(bytes);
}

/* In order: all before some moment; else each for itself. */
static bool keeps_move(const struct choice *c, const struct disk *d, size_t index)
{
	uint64_t dice = mix(c->seed, UINT64_C(0xd1ce) << 32);

	switch (c->fate) {
	case FATE_NONE:
		return false;
	case FATE_ALL:
		return true;
	case FATE_PREFIX:
		return d->moves[index].at < c->moment;
	default:
		if (c->names_in_order)
			return index < dice % (d->move_count + 1);
		return mix(dice, index) & 1;
	}
}

static void names_write(const struct choice *c, const struct disk *d, const char *directory)
{
	size_t count = d->name_count, room = count;
	struct disk_name *names = calloc(room + 1, sizeof(*names));
	int dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (!names || dir < 0)
		err(2, "%s", directory);
	if (count)
		memcpy(names, d->names, count * sizeof(*names));
	for (size_t i = 0; i < d->move_count; i++)
		if (keeps_move(c, d, i))
			disk_names_move(&names, &count, &room, &d->moves[i]);
	for (size_t i = 0; i < count; i++) /* directories come before what is in them */
		if (names[i].path[0] && !names[i].file && mkdirat(dir, names[i].path, 0700) < 0)
			err(2, "an image: %s", names[i].path);
	for (size_t i = 0; i < count; i++)
		if (names[i].path[0] && names[i].file)
			file_image(c, names[i].file, dir, names[i].path);
	close(dir);
	free(names);
}

void disk_view(const struct disk *d, const char *directory)
{
	const struct choice all = { .fate = FATE_ALL, .unit = DISK_PAGE };

	names_write(&all, d, directory);
}

/* Any pending change's place in the log. */
static uint64_t some_moment(const struct disk *d, uint64_t dice)
{
	size_t index = dice % (disk_pending(d) + 1);

	if (index < d->move_count)
		return d->moves[index].at;
	index -= d->move_count;
	for (size_t i = 0; i < d->file_count; i++) {
		if (index < d->files[i]->change_count)
			return d->files[i]->changes[index].at;
		index -= d->files[i]->change_count;
	}
	return UINT64_MAX;
}

void disk_image(const struct disk *d, uint64_t seed, const char *directory, char *ret_what,
		size_t what_size)
{
	struct choice c = { .seed = seed,
			    .fate = mix(seed, 1) % FATE_COUNT,
			    .unit = mix(seed, 2) & 1 ? 512 : DISK_PAGE,
			    .names_in_order = mix(seed, 3) & 1 };

	c.moment = some_moment(d, mix(seed, 4));
	snprintf(ret_what, what_size, "%s, torn at %llu, names %s", fate_names[c.fate],
		 (unsigned long long)c.unit, c.names_in_order ? "in order" : "in any order");
	names_write(&c, d, directory);
}
