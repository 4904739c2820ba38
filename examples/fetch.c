/*
 * fetch.c — asyncio's classic example: fetch all pages at once, print them in order.
 *
 *	fetch URL...
 */
#include <gather/http.h>

#include <stdio.h>
#include <stdlib.h>

struct urls {
	char **list;
	size_t count;
};

/* A request that failed is one line of the output, not the end of the others. */
static bool show(const char *url, const ga_future *page)
{
	int status = ga_result(page, NULL);

	if (status < 0) {
		printf("%s: %s\n", url, ga_http_error_text(page));
		return false;
	}
	printf("%s: %d %.60s\n", url, status, ga_http_body(page, NULL));
	return status < 400;
}

struct pages {
	ga_future **futures;
	size_t count;
};

static void pages_done(struct pages *p)
{
	ga_release_all(p->futures, p->count);
	free(p->futures);
}

static int amain(const void *arg)
{
	const struct urls *urls = arg;
	__attribute__((cleanup(pages_done))) struct pages pages = { .count = 0 };
	int r, failed = 0;

	pages.futures = calloc(urls->count, sizeof(*pages.futures));
	if (!pages.futures)
		return 1;
	for (; pages.count < urls->count; pages.count++)
		pages.futures[pages.count] = ga_http_get(urls->list[pages.count]);
	r = ga_gather(pages.futures, pages.count, GA_RETURN_EXCEPTIONS);
	if (r < 0) /* cancelled by SIGINT; the clean-up ends what is open */
		return 130;
	for (size_t i = 0; i < urls->count; i++)
		failed += !show(urls->list[i], pages.futures[i]);
	return failed > 0;
}

int main(int argc, char **argv)
{
	const struct urls urls = { argv + 1, (size_t)(argc - 1) };

	if (argc < 2) {
		fprintf(stderr, "usage: fetch URL...\n");
		return 2;
	}
	return ga_run(amain, &urls);
}
