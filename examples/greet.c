/*
 * greet.c — two greetings at once, with what every program needs besides: a failure that is handled, a clean-up scope.
 *
 *	cc greet.c $(pkg-config --cflags --libs gather) && ./a.out
 */
#include <errno.h>
#include <gather/async.h>
#include <stdio.h>
#include <string.h>

static int greet(const void *name) /* a coroutine: straight-line code that may suspend */
{
	int r = ga_sleep(GA_SECONDS(1));

	if (r < 0) /* cancelled */
		return r;
	printf("Hello, %s!\n", (const char *)name);
	return 0;
}

static int fail(const void *unused GA_UNUSED)
{
	return -ECONNREFUSED;
}

static int amain(const void *unused GA_UNUSED)
{
	GA_AUTO ga_future *alice = ga_spawn(greet, "Alice"); /* released at the end of the scope */
	GA_AUTO ga_future *bob = ga_spawn(greet, "Bob");
	GA_AUTO ga_future *carol = NULL, *dave = NULL;
	ga_future *both[] = { alice, bob };
	int r = ga_gather(both, 2, 0); /* one second, not two */

	if (r < 0)
		return r;

	/* The first failure ends the other greeting before it is said, and is reported. */
	carol = ga_spawn(greet, "Carol");
	dave = ga_spawn(fail, NULL);
	r = ga_gather((ga_future *[]){ carol, dave }, 2, 0);
	printf("Carol wasn't greeted (%s): %s\n", strerror(-ga_result(carol, NULL)), strerror(-r));
	return 0;
}

int main(void)
{
	int r = ga_run(amain, NULL);

	if (r < 0)
		fprintf(stderr, "greet: %s\n", strerror(-r));
	return r < 0;
}
