/*
 * executor.c — a computation in the executor, while the loop goes on with what else there is to do.
 *
 *	executor [LIMIT]
 *
 * Counts the primes below a limit on the pool's thread, and ticks meanwhile. Ctrl-C abandons the computation, which is
 * told so, and its memory is freed once it has heard.
 */
#include <gather/async.h>

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TICK GA_MILLISECONDS(20)

/* Two hold it, the coroutine and the executor: whoever lets go last, on the loop, frees it. */
struct job {
	long limit, primes;
	atomic_bool stop;
	int holders;
};

static void let_go(void *arg)
{
	struct job *job = arg;

	if (--job->holders == 0)
		free(job);
}

static bool is_prime(long n)
{
	for (long d = 2; d * d <= n; d++)
		if (n % d == 0)
			return false;
	return n >= 2;
}

/* On a thread: it may block and compute, but calls nothing of the loop's. */
static int count_primes(void *arg)
{
	struct job *job = arg;

	if (job->limit < 0)
		return -EDOM;
	for (long n = 0; n < job->limit && !atomic_load(&job->stop); n++)
		job->primes += is_prime(n);
	return 0;
}

static int tick(const void *arg)
{
	int *ticks = *(int *const *)arg;
	int r;

	while ((r = ga_sleep(TICK)) == 0)
		if (++*ticks % 10 == 0) {
			printf("tick %d\n", *ticks);
			fflush(stdout);
		}
	return r;
}

/* 0 and the count, or why there is none. */
static int count(long limit, long *ret_primes)
{
	struct job *job = calloc(1, sizeof(*job));
	GA_AUTO ga_future *counted = NULL;
	int r;

	if (!job)
		return -ENOMEM;
	job->limit = limit;
	job->holders = 2;
	counted = ga_executor_with(GA_POOL_CPU, count_primes, job, let_go);
	if (!counted)
		job->holders = 1; /* it isn't called for what was never taken */
	r = ga_await(counted);
	if (r < 0)
		atomic_store(&job->stop,
			     true); /* cancelled: nobody waits, but the thread goes on until it sees this */
	else
		*ret_primes = job->primes;
	let_go(job);
	return r;
}

static int amain(const void *arg)
{
	int ticks = 0, *at = &ticks, r;
	GA_AUTO ga_future *ticker = ga_spawn(tick, &at);
	long primes = 0;

	r = count(*(const long *)arg, &primes);
	ga_cancel(ticker);
	ga_gather(&ticker, 1, GA_RETURN_EXCEPTIONS); /* it uses our variables: wait for its end */
	if (r == -ECANCELED)
		return 130;
	if (r < 0) {
		fprintf(stderr, "executor: %s\n", strerror(-r));
		return 1;
	}
	printf("%ld primes; %d ticks meanwhile\n", primes, ticks);
	return 0;
}

int main(int argc, char **argv)
{
	const long limit = argc > 1 ? strtol(argv[1], NULL, 10) : 3000000;
	int r = ga_run(amain, &limit);

	if (r < 0)
		fprintf(stderr, "executor: %s\n", strerror(-r));
	return r < 0 ? 1 : r;
}
