/*
 * wordcount.c — a job type of one's own: fetch a page and count its words.
 *
 *	cc -shared -fPIC -o wordcount.so wordcount.c
 *	gatherd --dev -o plugins=$PWD/wordcount.so
 *	gather run wordcount url=https://example.com/
 *
 * `run` is a coroutine on the worker's loop: straight-line code. While it waits, thousands of others run; when its job is
 * cancelled or its time is over, what it waits for ends with -ECANCELED. Its requests obey http.allow as all of the worker's.
 */
#include <ctype.h>
#include <errno.h>
#include <gather/http.h>
#include <gather/worker.h>

static const struct ga_param params[] = {
	{ .name = "url", .type = GA_TEXT, .flags = GA_REQUIRED, .min = 1, .max = 65536, .help = "the page" },
	{ .name = "least",
	  .type = GA_INTEGER,
	  .preset = "1",
	  .min = 1,
	  .max = 1000,
	  .help = "count words of so many letters" },
	{ 0 },
};

static int64_t count_words(const char *text, size_t size, int64_t least)
{
	int64_t words = 0, letters = 0;

	for (size_t i = 0; i <= size; i++) {
		if (i < size && isalpha((unsigned char)text[i])) {
			letters++;
			continue;
		}
		words += letters >= least;
		letters = 0;
	}
	return words;
}

static int run(ga_job *job)
{
	GA_AUTO ga_future *page = ga_http_get(ga_job_text(job, "url"));
	int status = ga_await(page);
	const char *text;
	size_t size;

	if (status == -ECANCELED)
		return status;
	if (status < 0) /* it may pass by itself: the job is tried again, if it has retries left */
		return ga_job_fail_retry(job, 0, ga_http_error_word(ga_http_error(page)), "%s",
					 ga_http_error_text(page));
	if (status != 200)
		return ga_job_fail(job, "http_status", "the server answered %d", status);
	text = ga_http_body(page, &size);
	return ga_job_meta_integer(job, "words", count_words(text, size, ga_job_integer(job, "least")));
}

static const struct ga_job_type wordcount = {
	.name = "wordcount",
	.help = "counts the words of a web page",
	.job_class = GA_CLASS_NET,
	.params = params,
	.run = run,
	.example = "url=https://example.com/",
};

GA_PLUGIN(&wordcount);
