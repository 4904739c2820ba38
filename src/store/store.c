/* The caller's side: opening and closing, handing work over, telling its answers. */
#include "store.h"
#include "clock.h"
#include "store_backend.h"
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

static int thread_start(struct store *s);
static void tell_batch(struct store *s, struct store_batch *batch);
static void tell_read(struct store_read *read);

static int store_init(struct store *s)
{
	pthread_condattr_t monotonic;

	list_init(&s->in);
	list_init(&s->out);
	list_init(&s->answers);
	s->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->fd < 0)
		return -errno;
	pthread_mutex_init(&s->mutex, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&s->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	return 0;
}

static void store_done(struct store *s)
{
	pthread_cond_destroy(&s->wake);
	pthread_mutex_destroy(&s->mutex);
	close(s->fd);
	free(s);
}

int store_open(const struct store_options *options, struct store **ret_store, char *ret_why,
	       size_t why_size)
{
	struct store *s = calloc(1, sizeof(*s));
	int r;

	if (why_size > 0)
		ret_why[0] = '\0';
	if (!s)
		return -ENOMEM;
	s->backend = options->directory ? &store_sqlite : &store_memory;
	r = store_init(s);
	if (r < 0) {
		free(s);
		return r;
	}
	r = s->backend->open(options, &s->state, ret_why, why_size);
	if (r >= 0) {
		s->backend->facts(s->state, &s->facts);
		r = thread_start(s);
		if (r < 0)
			s->backend->close(s->state);
	}
	if (r < 0) {
		store_done(s);
		return r;
	}
	*ret_store = s;
	return 0;
}

/* Signals are for the threads that handle them. */
static int thread_start(struct store *s)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&s->thread, NULL, store_run, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r == 0)
		pthread_setname_np(s->thread, "store");
	return -r;
}

static void work_free_all(struct list *list)
{
	struct list *place;

	while ((place = list_pop_front(list)) != NULL)
		work_free(LIST_ENTRY(place, struct work, place));
}

void work_free(struct work *work)
{
	if (work->kind == WORK_BATCH)
		store_batch_free(container_of(work, struct store_batch, work));
	else
		read_free(container_of(work, struct store_read, work));
}

void store_close(struct store *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->mutex);
	s->closing = true;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->mutex);
	pthread_join(s->thread, NULL);
	work_free_all(&s->in);
	work_free_all(&s->out);
	work_free_all(&s->answers);
	s->backend->close(s->state);
	store_done(s);
}

const char *store_kind(const struct store *s)
{
	return s->backend->kind;
}

/* Locking doesn't change what the caller sees. */
static pthread_mutex_t *mutex_of(const struct store *s)
{
	return &((struct store *)(uintptr_t)s)->mutex;
}

const char *store_why(const struct store *s)
{
	return s->why;
}

void store_facts(const struct store *s, struct store_facts *ret_facts)
{
	pthread_mutex_lock(mutex_of(s));
	*ret_facts = s->facts;
	pthread_mutex_unlock(mutex_of(s));
}

/* The thread keeps its hands off the implementation until it runs. */
int store_load(struct store *s, const struct store_visitor *v)
{
	int r = s->backend->load(s->state, v);

	if (r < 0)
		snprintf(s->why, sizeof(s->why), "%s", s->backend->why(s->state));
	pthread_mutex_lock(&s->mutex);
	s->running = true;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->mutex);
	return r;
}

static void hand_over(struct store *s, struct work *work)
{
	pthread_mutex_lock(&s->mutex);
	list_push_back(&s->in, &work->place);
	s->running = true;
	if (s->away)
		pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->mutex);
}

void store_commit(struct store *s, struct store_batch *batch, uint64_t number, enum store_sync sync)
{
	batch->number = number;
	batch->sync = sync;
	s->queued_bytes += batch->bytes;
	hand_over(s, &batch->work);
}

void store_on_commit(struct store *s, store_committed_fn fn, void *arg)
{
	s->committed = fn;
	s->committed_arg = arg;
}

int64_t store_queued_bytes(const struct store *s)
{
	return s->queued_bytes;
}

int store_fd(const struct store *s)
{
	return s->fd;
}

void store_dispatch(struct store *s)
{
	struct store_commit death = { 0 };
	struct list *place;
	uint64_t ignored;

	(void)!read(s->fd, &ignored, sizeof(ignored)); /* -EAGAIN: nothing is there */
	pthread_mutex_lock(&s->mutex);
	list_splice_back(&s->answers, &s->out);
	if (s->thread_why[0])
		memcpy(s->why, s->thread_why, sizeof(s->why));
	death.error = s->died;
	s->died = 0;
	pthread_mutex_unlock(&s->mutex);
	while ((place = list_pop_front(&s->answers)) != NULL) {
		struct work *work = LIST_ENTRY(place, struct work, place);

		if (work->kind == WORK_BATCH)
			tell_batch(s, container_of(work, struct store_batch, work));
		else
			tell_read(container_of(work, struct store_read, work));
		work_free(work);
	}
	if (death.error < 0 && s->committed)
		s->committed(s->committed_arg, &death);
}

static void tell_batch(struct store *s, struct store_batch *batch)
{
	struct store_commit commit = {
		.number = batch->number,
		.error = batch->error,
		.refusals = batch->refusals,
		.refusal_count = batch->refusal_count,
	};

	s->queued_bytes -= batch->bytes;
	if (s->committed)
		s->committed(s->committed_arg, &commit);
}

static void tell_read(struct store_read *read)
{
	if (read->fn)
		read->fn(read->arg, &read->rows);
}

/* ---- reads ---- */

static int read_start(struct store *s, const struct store_read *wanted, struct store_read **ret_read)
{
	struct store_read *read = calloc(1, sizeof(*read));
	struct store_filter *filter;
	struct span path = { 0 };

	if (!read)
		return -ENOMEM;
	*read = *wanted;
	list_init(&read->work.place);
	read->work.kind = WORK_READ;
	filter = &read->filter;
	if (wanted->path)
		path = (struct span){ wanted->path, strlen(wanted->path) + 1 };
	if (arena_copy(&read->arena, filter->type, &filter->type) < 0 ||
	    arena_copy(&read->arena, filter->queue, &filter->queue) < 0 ||
	    arena_copy(&read->arena, filter->tag, &filter->tag) < 0 ||
	    arena_copy(&read->arena, path, &path) < 0) {
		read_free(read);
		return -ENOMEM;
	}
	read->path = path.data;
	*ret_read = read;
	hand_over(s, &read->work);
	return 0;
}

int store_read_job(struct store *s, const struct uuid *id, store_rows_fn fn, void *arg,
		   struct store_read **ret_read)
{
	struct store_read wanted = { .kind = READ_ID, .fn = fn, .arg = arg, .id = *id };

	return read_start(s, &wanted, ret_read);
}

int store_read_group(struct store *s, const struct uuid *id, store_rows_fn fn, void *arg,
		     struct store_read **ret_read)
{
	struct store_read wanted = { .kind = READ_GROUP_ID, .fn = fn, .arg = arg, .id = *id };

	return read_start(s, &wanted, ret_read);
}

int store_read_sequence(struct store *s, uint64_t sequence, store_rows_fn fn, void *arg,
			struct store_read **ret_read)
{
	struct store_read wanted = { .kind = READ_SEQUENCE, .fn = fn, .arg = arg, .sequence = sequence };

	return read_start(s, &wanted, ret_read);
}

int store_read_attempts(struct store *s, uint64_t sequence, store_rows_fn fn, void *arg,
			struct store_read **ret_read)
{
	struct store_read wanted = { .kind = READ_ATTEMPTS, .fn = fn, .arg = arg, .sequence = sequence };

	return read_start(s, &wanted, ret_read);
}

int store_list(struct store *s, const struct store_filter *filter, store_rows_fn fn, void *arg,
	       struct store_read **ret_read)
{
	struct store_read wanted = { .kind = READ_LIST, .fn = fn, .arg = arg, .filter = *filter };

	return read_start(s, &wanted, ret_read);
}

int store_list_groups(struct store *s, const struct store_filter *filter, store_rows_fn fn,
		      void *arg, struct store_read **ret_read)
{
	struct store_read wanted = { .kind = READ_GROUPS, .fn = fn, .arg = arg, .filter = *filter };

	return read_start(s, &wanted, ret_read);
}

int store_backup(struct store *s, const char *path, store_rows_fn fn, void *arg,
		 struct store_read **ret_read)
{
	struct store_read wanted = { .kind = READ_BACKUP, .fn = fn, .arg = arg, .path = path };

	return read_start(s, &wanted, ret_read);
}

void store_read_cancel(struct store_read *read)
{
	read->fn = NULL;
	atomic_store(&read->cancelled, true);
}
