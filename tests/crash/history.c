#include "history.h"
#include "store.h"
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* STORE_WRITE_DELAY_MS, one sync, and what a busy machine makes of it. */
#define WRITE_PATIENCE UINT64_C(1500000000)

static void hand(struct history *h, uint32_t generation, uint32_t batch, uint8_t sync)
{
	if (batch >= h->room) {
		size_t room = h->room ? h->room * 2 : 256;

		h->generations = realloc(h->generations, room * sizeof(*h->generations));
		h->synced = realloc(h->synced, room);
		h->acked_at = realloc(h->acked_at, room * sizeof(*h->acked_at));
		if (!h->generations || !h->synced || !h->acked_at)
			errx(2, "no memory");
		h->room = room;
	}
	h->generations[batch] = generation;
	h->synced[batch] = sync;
	h->handed = batch;
}

/* A committed batch lasts if it, or a later committed one, was synced: they stand in one file, in order. */
static void acked(struct history *h, uint32_t batch, uint64_t time)
{
	if (h->failed)
		h->broken++;
	h->acked_at[batch] = time;
	h->acked = batch;
	for (uint32_t i = batch; i > h->lasting; i--) {
		if (h->synced[i] == STORE_SYNC) {
			h->lasting = i;
			break;
		}
	}
}

/* Without room, and without the ballast for it, a store takes no new jobs. */
static bool refuses_jobs(const struct shim_record *fault)
{
	return fault->length == ENOSPC ||
	       memmem(fault + 1, fault->data_size, "ballast", strlen("ballast"));
}

void history_take(struct history *h, const struct shim_record *r)
{
	uint32_t batch = (uint32_t)r->length;

	h->faulted |= r->op == SHIM_FAULT;
	h->full |= r->op == SHIM_FAULT && refuses_jobs(r);
	if (r->op != SHIM_MARK)
		return;
	switch ((enum mark)r->file) {
	case MARK_OPENED:
		h->generation = (uint32_t)r->offset;
		/* What was found was made durable before it was shown. */
		h->handed = h->acked = h->lasting = batch;
		h->failed = 0;
		h->faulted = false;
		break;
	case MARK_HANDED:
		hand(h, (uint32_t)r->offset, batch, *(const uint8_t *)(r + 1));
		break;
	case MARK_ACKED:
		acked(h, batch, r->time);
		break;
	case MARK_FAILED:
		if (!h->failed)
			h->failed = batch;
		break;
	case MARK_PROMISED:
	case MARK_DONE:
		break;
	case MARK_FULL:
		h->full = true;
		break;
	case MARK_CLOSED:
		/* Closing commits what was handed over, and leaves nothing unsynced, if it can. */
		if (!h->faulted)
			h->acked = h->lasting = h->handed;
		break;
	}
}

void history_read(struct history *h, const char *log, size_t size)
{
	for (size_t at = 0; at < size;) {
		const struct shim_record *r = (const void *)(log + at);

		history_take(h, r);
		at += r->size;
	}
}

uint32_t history_lasting(const struct history *h, uint64_t time)
{
	uint32_t batch = h->acked;

	while (batch > h->lasting && h->acked_at[batch] + WRITE_PATIENCE > time)
		batch--;
	return h->faulted ? h->lasting : batch;
}

void history_done(struct history *h)
{
	free(h->acked_at);
	free(h->generations);
	free(h->synced);
}

char *log_read(const char *path, size_t *ret_size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		err(2, "%s", path);
	char *bytes = malloc((size_t)st.st_size + 1);
	size_t size = 0;

	while (bytes && size < (size_t)st.st_size) {
		ssize_t n = read(fd, bytes + size, (size_t)st.st_size - size);

		if (n <= 0)
			err(2, "%s", path);
		size += (size_t)n;
	}
	if (!bytes)
		errx(2, "no memory");
	close(fd);
	*ret_size = size;
	return bytes;
}
