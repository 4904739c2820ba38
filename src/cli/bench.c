#include "arguments.h"
#include "job_fields.h"
#include "latency.h"
#include "output.h"
#include "period.h"
#include "results.h"
#include "session.h"
#include "type_info.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static const char *type_name = "noop", *jobs_text = "100000", *window_text = "1000";

static const struct flag flags[] = {
	{ "type", 't', "TYPE", "type of the jobs (noop)", .text = &type_name },
	{ "jobs", 'n', "N", "so many jobs (100000)", .text = &jobs_text },
	{ "window", 'w', "N", "so many at once (1000); 1: lone round trips", .text = &window_text },
	{ 0 },
};

struct bench {
	ga_client *client;
	struct ga_submission submission; /* the tag is the window's place + 1 */
	int64_t *start;                  /* of each place's job */
	uint32_t *free_places, free_count;
	int64_t jobs, window, handed_over, ended, failed;
	struct latencies latencies;
	struct strbuf first_error;
};

static int parse_command(struct context *x, struct bench *b, struct arguments *a)
{
	const struct words *operands = &x->command.operands;
	char why[400];

	for (size_t i = 0; i < operands->count; i++) {
		if (!arguments_add(a, operands->item[i], false, why, sizeof(why)))
			return usage(x, "%s", why);
	}
	if (!number_parse(jobs_text, 1, 100000000, &b->jobs))
		return usage(x, "--jobs takes a number from 1, not '%s'", jobs_text);
	if (!number_parse(window_text, 1, 1000000, &b->window))
		return usage(x, "--window takes a number from 1, not '%s'", window_text);
	return a->count ? type_shape(x, type_name, a, false) : STATUS_OK;
}

static bool allocate(struct bench *b)
{
	b->start = calloc((size_t)b->window, sizeof(*b->start));
	b->free_places = calloc((size_t)b->window, sizeof(*b->free_places));
	if (!b->start || !b->free_places)
		return false;
	while (b->free_count < b->window) {
		b->free_places[b->free_count] = b->free_count;
		b->free_count++;
	}
	return true;
}

static int hand_over(struct bench *b)
{
	int result = 0;

	while (b->free_count > 0 && b->handed_over < b->jobs && result == 0) {
		uint32_t place = b->free_places[--b->free_count];

		b->start[place] = ga_client_now();
		b->submission.tag = place + 1;
		result = ga_client_submit(b->client, &b->submission);
		b->handed_over++;
	}
	return result;
}

static void take(struct bench *b, const struct ga_client_event *e)
{
	uint32_t place = (uint32_t)e->tag - 1;

	if (e->tag == 0 || e->tag > (uint64_t)b->window || b->free_count == b->window)
		return;
	latency_add(&b->latencies, ga_client_now() - b->start[place]);
	b->ended++;
	b->free_places[b->free_count++] = place;
	if (event_ok(e))
		return;
	if (b->failed++ == 0)
		put_reason(&b->first_error, e);
}

static int measure(struct bench *b)
{
	struct ga_client_event e = { 0 };

	while (b->ended < b->jobs) {
		int result = hand_over(b);

		if (result == 0)
			result = ga_client_next(b->client, GA_CLIENT_FOREVER, &e);
		if (result == -EINTR && !interrupted())
			continue;
		if (result < 0)
			return result;
		take(b, &e);
	}
	return 0;
}

static double cpu_seconds(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void report(const struct context *x, const struct bench *b, double seconds, double cpu)
{
	double rate = (double)b->ended / seconds;
	double p50 = (double)latency_quantile(&b->latencies, 0.5) / 1e3;
	double p99 = (double)latency_quantile(&b->latencies, 0.99) / 1e3;
	double most = (double)b->latencies.longest / 1e3;

	if (x->format == FORMAT_JSON || x->format == FORMAT_JSONL)
		sb_printf(output(),
			  "{\"type\":\"%s\",\"jobs\":%lld,\"window\":%lld,\"failed\":%lld,"
			  "\"seconds\":%.6f,\"rate\":%.1f,\"p50_us\":%.1f,\"p99_us\":%.1f,"
			  "\"max_us\":%.1f,\"client_cpu_us\":%.3f}\n",
			  type_name, (long long)b->ended, (long long)b->window, (long long)b->failed,
			  seconds, rate, p50, p99, most, cpu * 1e6 / (double)b->ended);
	else if (x->format == FORMAT_TEXT)
		sb_printf(output(),
			  "%lld %s jobs, %lld at once: %.0f/s  p50 %.1f us  p99 %.1f us  max %.1f "
			  "us  client CPU %.2f us a job\n",
			  (long long)b->ended, type_name, (long long)b->window, rate, p50, p99,
			  most, cpu * 1e6 / (double)b->ended);
}

static int bench(struct context *x, struct bench *b)
{
	int64_t start;
	double cpu;
	int result;

	if (!allocate(b)) {
		say("out of memory for %lld jobs", (long long)b->jobs);
		return STATUS_FAILED;
	}
	b->client = x->client;
	cpu = cpu_seconds();
	start = ga_client_now();
	result = measure(b);
	if (b->ended > 0)
		report(x, b, (double)(ga_client_now() - start) / 1e9, cpu_seconds() - cpu);
	if (result < 0)
		return session_failed(x, result);
	if (b->failed > 0) {
		say("%lld failed, the first one: %s", (long long)b->failed, sb_string(&b->first_error));
		return STATUS_FAILED;
	}
	return STATUS_OK;
}

static int run(struct context *x)
{
	struct bench b = { .submission = { .want_result = true } };
	struct arguments arguments = { 0 };
	struct strbuf args = { 0 }, options = { 0 };
	int status = parse_command(x, &b, &arguments);
	char why[300];

	if (status == STATUS_OK && !arguments_write(&arguments, "", 0, &args, why, sizeof(why)))
		status = usage(x, "%s", why);
	if (status == STATUS_OK && !job_fields_write(&job_fields, &options, why, sizeof(why)))
		status = usage(x, "%s", why);
	if (status == STATUS_OK)
		status = session_open(x);
	if (status == STATUS_OK) {
		b.submission.type = type_name;
		b.submission.args = arguments.count ? sb_string(&args) : NULL;
		b.submission.options = options.size > 2 ? sb_string(&options) : NULL;
		status = bench(x, &b);
	}
	arguments_free(&arguments);
	sb_free(&args);
	sb_free(&options);
	sb_free(&b.first_error);
	free(b.start);
	free(b.free_places);
	return status;
}

const struct verb verb_bench = {
	.name = "bench",
	.operands = "[name=value]...",
	.summary = "measure how fast jobs go through",
	.examples = "  gather --local bench\n"
		    "  gather bench --window 1 -n 10000 -o json\n"
		    "  gather --local bench --type sleep -n 10000 --window 10000 seconds=1\n",
	.flags = flags,
	.has_job_fields = true,
	.run = run,
};
