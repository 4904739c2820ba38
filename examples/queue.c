/*
 * queue.c — a producer and three workers with a queue between them: the producer waits while it is full, the workers while
 * it is empty, and its shutdown sends the workers home.
 *
 *	cc queue.c $(pkg-config --cflags --libs gather) && ./a.out
 */
#include <errno.h>
#include <gather/async.h>
#include <gather/queue.h>
#include <stdio.h>
#include <string.h>

enum { WORKERS = 3, PARCELS = 12, ROOM = 4 };

struct worker {
	const char *name;
	ga_queue *parcels;
	int delivered;
};

static int work(const void *arg)
{
	struct worker *self = *(struct worker *const *)arg;
	void *parcel;
	int r;

	while ((r = ga_queue_get(self->parcels, GA_NEVER, &parcel)) == 0) {
		r = ga_sleep(GA_MILLISECONDS(100)); /* the way there */
		if (r < 0)
			return r;
		printf("%s delivered %d\n", self->name, *(int *)parcel);
		self->delivered++;
		(void)ga_queue_task_done(self->parcels);
	}
	return r == -ESHUTDOWN ? 0 : r; /* shut down, and nothing is left */
}

static int produce(ga_queue *parcels)
{
	static int numbers[PARCELS];
	int r;

	for (int i = 0; i < PARCELS; i++) {
		numbers[i] = i + 1;
		r = ga_queue_put(parcels, &numbers[i], GA_NEVER);
		if (r < 0)
			return r;
	}
	r = ga_queue_join(parcels, ga_now() + GA_SECONDS(10)); /* until the last one is delivered */
	if (r == 0)
		printf("all delivered\n");
	return r;
}

static int amain(const void *unused GA_UNUSED)
{
	struct ga_queue_options options = { .order = GA_FIFO, .max = ROOM };
	struct worker workers[WORKERS] = { { .name = "Alice" }, { .name = "Bob" }, { .name = "Carol" } };
	struct worker *each[WORKERS];
	ga_future *tasks[WORKERS];
	ga_queue *parcels;
	int r = ga_queue_new(&options, &parcels), end;

	if (r < 0)
		return r;
	for (int i = 0; i < WORKERS; i++) {
		each[i] = &workers[i];
		each[i]->parcels = parcels;
		tasks[i] = ga_spawn(work, &each[i]);
	}
	r = produce(parcels);
	ga_queue_shutdown(parcels, r < 0); /* after a failure: drop what is left */
	end = ga_gather(tasks, WORKERS, 0);
	ga_release_all(tasks, WORKERS);
	ga_queue_free(parcels);
	for (int i = 0; i < WORKERS; i++)
		printf("%s: %d\n", workers[i].name, workers[i].delivered);
	return r < 0 ? r : end;
}

int main(void)
{
	int r = ga_run(amain, NULL);

	if (r < 0)
		fprintf(stderr, "queue: %s\n", strerror(-r));
	return r < 0;
}
