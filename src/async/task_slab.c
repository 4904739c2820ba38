/*
 * task_slab.c — slots of tasks in a memfd; see task_slab.h.
 */
#include "task_slab.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

/* Linux 6.3's number; older headers don't have it. */
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u
#endif

#define CHUNKS_LEAST 16u /* where not even these can be reserved, tasks are out of the question */
#define EMPTY_KEPT                                                                                 \
	2u /* chunks without a task that keep their memory, so that a burst isn't paid for twice */

struct task_chunk {
	struct list node; /* in slab.avail, while it has a free slot */
	uint32_t free;    /* reference to the first of a list through row.target; 0: none */
	uint16_t used, carved;
};

static void slot_free(struct task_slab *s, void *slot);
static int reserve(struct task_slab *s);
static int open_memfd(size_t size);
static void set_layout(struct task_slab *s);
static struct task_chunk *chunk_add(struct task_slab *s);
static struct task_chunk *chunk_of(const struct task_slab *s, const void *slot);
static char *chunk_at(const struct task_slab *s, const struct task_chunk *c);
static void chunk_drop(struct task_slab *s, struct task_chunk *c);
static void slab_free(struct task_slab *s);
static uint32_t find_site(struct task_slab *s, const char *name, const char *place);
static void copy_tail(char *to, size_t size, const char *text);
static uint32_t find_kind(struct task_slab *s, const char *kind);

int task_slab_new(size_t row_bytes, struct task_slab **ret_slab)
{
	struct task_slab *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->fd = -1;
	s->row_bytes = (uint32_t)((row_bytes + 7) / 8 * 8);
	s->slots = TABLE_CHUNK_BYTES / s->row_bytes;
	list_init(&s->avail);
	r = reserve(s);
	if (r >= 0) {
		s->chunks = calloc(s->chunk_limit, sizeof(*s->chunks));
		r = s->chunks ? 0 : -ENOMEM;
	}
	if (r < 0) {
		slab_free(s);
		return r;
	}
	set_layout(s);
	*ret_slab = s;
	return 0;
}

void task_slab_close(struct task_slab *s)
{
	if (!s)
		return;
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	while (s->hot_count > 0)
		slot_free(s, s->hot[--s->hot_count]);
	s->closed = true;
	if (s->used == 0)
		slab_free(s);
}

void *task_slab_take_cold(struct task_slab *s)
{
	struct task_chunk *c;
	struct task_row *row;

	if (GA_UNLIKELY(list_empty(&s->avail)) && !chunk_add(s))
		return NULL;
	c = LIST_ENTRY(s->avail.next, struct task_chunk, node);
	if (c->free) {
		row = (struct task_row *)(void *)((char *)s->header + (size_t)c->free * 8);
		c->free = row->target;
	} else {
		row = (struct task_row *)(void *)(chunk_at(s, c) + (size_t)c->carved++ * s->row_bytes);
	}
	if (c->used++ == 0)
		s->empty--;
	s->used++;
	if (c->used == s->slots)
		list_remove(&c->node);
	return row;
}

void task_slab_give_cold(struct task_slab *s, void *slot)
{
	slot_free(s, slot);
	if (s->closed && s->used == 0)
		slab_free(s);
}

static void slot_free(struct task_slab *s, void *slot)
{
	struct task_chunk *c = chunk_of(s, slot);
	struct task_row *row = slot;

	row->id = 0;
	row->target = c->free;
	c->free = (uint32_t)((size_t)((const char *)slot - (const char *)s->header) / 8);
	SLAB_POISON(row + 1, s->row_bytes - sizeof(*row));
	if (c->used-- == s->slots)
		list_push_front(&s->avail, &c->node);
	s->used--;
	if (c->used == 0 && s->empty++ >= EMPTY_KEPT)
		chunk_drop(s, c);
}

uint16_t task_slab_site_cold(struct task_slab *s, const char *name, const char *place, bool fickle)
{
	uintptr_t key = (uintptr_t)name * 31 + (uintptr_t)place;
	size_t i = (key ^ key >> 8) % SLAB_SITE_CACHE;

	if (GA_UNLIKELY(s->cache[i].name != name || s->cache[i].place != place ||
			(fickle && strncmp(s->sites[s->cache[i].index].name, name,
					   sizeof(s->sites->name) - 1) != 0))) {
		s->cache[i].index = find_site(s, name, place);
		s->cache[i].name = name;
		s->cache[i].place = place;
	}
	s->last_name = name;
	s->last_place = place;
	s->last_site_index = (uint16_t)s->cache[i].index;
	s->last_site = &s->sites[s->last_site_index];
	s->last_site->tasks++;
	return s->last_site_index;
}

uint16_t task_slab_kind(struct task_slab *s, const char *kind)
{
	size_t at = task_slab_recent(kind);
	uint32_t i = 1;

	while (i < s->header->kind_count && s->kind_keys[i] != kind)
		i++;
	s->recent[at].kind = kind;
	s->recent[at].index = (uint16_t)(i < s->header->kind_count ? i : find_kind(s, kind));
	return s->recent[at].index;
}

uint32_t task_slab_detail(struct task_slab *s, const char *text)
{
	struct table_detail *details =
		(struct table_detail *)(void *)((char *)s->header + s->header->details_at);
	uint32_t index = s->free_detail;

	if (index) {
		memcpy(&s->free_detail, details[index].text, sizeof(s->free_detail));
	} else if (s->header->detail_count < TABLE_DETAILS) {
		if (s->header->detail_count == 0)
			s->header->detail_count++; /* 0 is none */
		index = s->header->detail_count++;
	} else {
		return 0;
	}
	strncpy(details[index].text, text, sizeof(details[index].text) - 1);
	return index;
}

void task_slab_detail_give(struct task_slab *s, uint32_t detail)
{
	struct table_detail *details =
		(struct table_detail *)(void *)((char *)s->header + s->header->details_at);

	if (!detail)
		return;
	memcpy(details[detail].text, &s->free_detail, sizeof(s->free_detail));
	s->free_detail = detail;
}

/* Under a limit of address space half of it, or half of that, may be had. */
static int reserve(struct task_slab *s)
{
	const char *wish = getenv("GATHER_TASKS");
	bool shown = !wish || strcmp(wish, "0") != 0;

	for (uint32_t chunks = TABLE_CHUNKS_MAX; chunks >= CHUNKS_LEAST; chunks /= 2) {
		void *at;

		s->size = TABLE_CHUNKS_AT + (size_t)chunks * TABLE_CHUNK_BYTES;
		s->fd = shown ? open_memfd(s->size) : -1;
		at = s->fd >= 0 ? mmap(NULL, s->size, PROT_READ | PROT_WRITE,
				       MAP_SHARED | MAP_NORESERVE, s->fd, 0)
				: mmap(NULL, s->size, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (at != MAP_FAILED) {
			s->header = at;
			s->chunk_limit = chunks;
			return 0;
		}
		if (s->fd >= 0)
			close(s->fd);
		s->fd = -1;
	}
	return -ENOMEM;
}

/* -1: there is none to be had; then nobody can look. Sizing it beyond the limit of files would be a signal's death. */
static int open_memfd(size_t size)
{
	struct rlimit limit;
	int fd;

	if (getrlimit(RLIMIT_FSIZE, &limit) < 0 || limit.rlim_cur < size)
		return -1;
	fd = memfd_create(TASK_TABLE_NAME, MFD_CLOEXEC | MFD_NOEXEC_SEAL);
	if (fd < 0) /* before Linux 6.3 */
		fd = memfd_create(TASK_TABLE_NAME, MFD_CLOEXEC);
	if (fd >= 0 && ftruncate(fd, (off_t)size) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static void set_layout(struct task_slab *s)
{
	struct table_header *h = s->header;

	*h = (struct table_header){ .version = TASK_TABLE_VERSION,
				    .row_bytes = s->row_bytes,
				    .chunk_bytes = TABLE_CHUNK_BYTES,
				    .kinds_at = TABLE_KINDS_AT,
				    .sites_at = TABLE_SITES_AT,
				    .details_at = TABLE_DETAILS_AT,
				    .chunks_at = TABLE_CHUNKS_AT,
				    .site_count = 1,
				    .kind_count = 1,
				    .origin = task_slab_ref(s->header),
				    .pid = (uint32_t)getpid(),
				    .tid = (uint32_t)gettid() };
	s->kinds = (struct table_kind *)(void *)((char *)h + TABLE_KINDS_AT);
	s->sites = (struct table_site *)(void *)((char *)h + TABLE_SITES_AT);
	(void)find_kind(s, "task"); /* SLAB_KIND_TASK */
	__atomic_store_n(&h->magic, TASK_TABLE_MAGIC, __ATOMIC_RELEASE);
}

/* One more chunk with free slots: one that was dropped, or a new one. */
static struct task_chunk *chunk_add(struct task_slab *s)
{
	struct task_chunk *c;

	if (s->header->chunk_count == s->chunk_limit)
		return NULL;
	c = &s->chunks[s->header->chunk_count];
	list_push_front(&s->avail, &c->node);
	s->empty++;
	__atomic_store_n(&s->header->chunk_count, s->header->chunk_count + 1, __ATOMIC_RELEASE);
	return c;
}

static struct task_chunk *chunk_of(const struct task_slab *s, const void *slot)
{
	return &s->chunks[((size_t)((const char *)slot - (const char *)s->header) - TABLE_CHUNKS_AT) /
			  TABLE_CHUNK_BYTES];
}

static char *chunk_at(const struct task_slab *s, const struct task_chunk *c)
{
	return (char *)s->header + TABLE_CHUNKS_AT + (size_t)(c - s->chunks) * TABLE_CHUNK_BYTES;
}

/* Its memory goes back, and reads as zeros from now on. It is used again after those that have their memory. */
static void chunk_drop(struct task_slab *s, struct task_chunk *c)
{
	SLAB_UNPOISON(chunk_at(s, c), TABLE_CHUNK_BYTES);
	(void)madvise(chunk_at(s, c), TABLE_CHUNK_BYTES, s->fd >= 0 ? MADV_REMOVE : MADV_DONTNEED);
	c->free = 0;
	c->carved = 0;
	list_remove(&c->node);
	list_push_back(&s->avail, &c->node);
}

static void slab_free(struct task_slab *s)
{
	if (s->header) {
		SLAB_UNPOISON(s->header,
			      TABLE_CHUNKS_AT + (size_t)s->header->chunk_count * TABLE_CHUNK_BYTES);
		munmap(s->header, s->size);
	}
	if (s->fd >= 0)
		close(s->fd);
	free(s->chunks);
	free(s);
}

/* By the texts; 0, the place without a name, once there are too many. */
static uint32_t find_site(struct task_slab *s, const char *name, const char *place)
{
	struct table_site *site = s->sites;
	struct table_site wanted = { 0 };
	uint32_t count = s->header->site_count;

	strncpy(wanted.name, name, sizeof(wanted.name) - 1);
	copy_tail(wanted.place, sizeof(wanted.place), place);
	for (uint32_t i = 1; i < count; i++)
		if (strcmp(site[i].place, wanted.place) == 0 && strcmp(site[i].name, wanted.name) == 0)
			return i;
	if (count == TABLE_SITES)
		return 0;
	site[count] = wanted;
	__atomic_store_n(&s->header->site_count, count + 1, __ATOMIC_RELEASE);
	return count;
}

/* Of a path the end says more. */
static void copy_tail(char *to, size_t size, const char *text)
{
	size_t length = strlen(text);

	strncpy(to, length < size ? text : text + length - (size - 1), size - 1);
	to[size - 1] = '\0';
}

static uint32_t find_kind(struct task_slab *s, const char *kind)
{
	uint32_t count = s->header->kind_count;

	for (uint32_t i = 1; i < count; i++) {
		if (strncmp(s->kinds[i].name, kind, sizeof(s->kinds->name) - 1) == 0) {
			s->kind_keys[i] = kind;
			return i;
		}
	}
	if (count == TABLE_KINDS)
		return 0;
	strncpy(s->kinds[count].name, kind, sizeof(s->kinds->name) - 1);
	s->kind_keys[count] = kind;
	__atomic_store_n(&s->header->kind_count, count + 1, __ATOMIC_RELEASE);
	return count;
}
