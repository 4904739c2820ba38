/*
 * The judge: reads the ledger and asks the daemon, once it has come to rest, what became of each job.
 *
 * Broken promises are printed one a line ("WRONG ..."), then the figures, NAME=NUMBER each. Exit status 1 if anything is
 * wrong.
 */
#include "clock.h"
#include "ledger_book.h"
#include "uuid.h"
#include <err.h>
#include <gather/client.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE 500
#define ASK_PATIENCE (30 * NSEC_PER_SEC)

struct judge {
	struct book book;
	ga_client *client;
	uint64_t listed, reruns, outcomes_unknown;
};

static json_t *ask(struct judge *j, const char *target, unsigned *ret_status)
{
	struct ga_response answer;
	json_error_t error;
	int r = ga_client_request(j->client, "GET", target, NULL, 0, ga_client_now() + ASK_PATIENCE,
				  &answer);

	if (r < 0)
		errx(2, "GET %s: %s", target, strerror(-r));
	*ret_status = answer.status;
	json_t *body = json_loadb(answer.body.data, answer.body.size, 0, &error);

	if (!body)
		errx(2, "GET %s: %s", target, error.text);
	return body;
}

static const char *text_at(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

/* Unfinished jobs that the daemon counts. */
static uint64_t unfinished(struct judge *j)
{
	static const char *const states[] = { "accepted", "scheduled", "ready",
					      "running",  "retrying",  "blocked" };
	unsigned status;
	json_t *stats = ask(j, "/v1/stats", &status);
	uint64_t count = 0;

	for (size_t i = 0; i < ARRAY_SIZE(states); i++)
		count += (uint64_t)json_integer_value(
			json_object_get(json_object_get(stats, "jobs"), states[i]));
	json_decref(stats);
	return count;
}

static bool come_to_rest(struct judge *j, int64_t patience)
{
	int64_t end = clock_monotonic() + patience;

	while (unfinished(j) > 0) {
		if (clock_monotonic() > end)
			return false;
		usleep(10000);
	}
	return true;
}

static json_t *ask_job(struct judge *j, const char *id, unsigned *ret_status)
{
	char target[80];

	snprintf(target, sizeof(target), "/v1/jobs/%s", id);
	return ask(j, target, ret_status);
}

/* One that was neither promised nor seen to run: its arguments say which submission it is. */
static void identify(struct judge *j, struct book_job *job, const char *id)
{
	unsigned status;
	json_t *view = ask_job(j, id, &status);
	json_int_t number = json_integer_value(json_object_get(json_object_get(view, "args"), "n"));

	if (number > 0 && (uint64_t)number < j->book.submission_count &&
	    j->book.submissions[number].intended)
		book_join(&j->book, job, (uint64_t)number);
	json_decref(view);
}

/* One that must not run twice fails if nobody knows how its only attempt ended. */
static bool may_fail(const struct judge *j, const struct book_job *job, const json_t *line)
{
	const char *code = text_at(json_object_get(line, "error"), "code");

	return job->number && j->book.submissions[job->number].once &&
	       strcmp(text_at(line, "state"), "failed") == 0 && strcmp(code, "outcome_unknown") == 0;
}

static void take_line(struct judge *j, const json_t *line)
{
	const char *text = text_at(line, "id");
	struct uuid id;

	if (uuid_parse(text, strlen(text), &id) < 0)
		errx(2, "the daemon lists a job with the id '%s'", text);
	struct book_job *job = book_job(&j->book, id.b);

	if (job->listed++)
		book_wrong(&j->book, "%s is listed twice", text);
	job->attempts = (unsigned)json_integer_value(json_object_get(line, "attempts"));
	job->succeeded = strcmp(text_at(line, "state"), "succeeded") == 0;
	if (!job->number)
		identify(j, job, text);
	if (!job->succeeded && may_fail(j, job, line))
		j->outcomes_unknown++;
	else if (!job->succeeded)
		book_wrong(&j->book, "%s is %s, submission %llu", text, text_at(line, "state"),
			   (unsigned long long)job->number);
	j->listed++;
}

/* Everything that the daemon keeps, page by page. */
static void list_all(struct judge *j)
{
	char cursor[40] = "", target[120];
	unsigned status;

	do {
		snprintf(target, sizeof(target), "/v1/jobs?type=ledger&limit=%d%s%s", PAGE,
			 cursor[0] ? "&cursor=" : "", cursor);
		json_t *page = ask(j, target, &status);
		const json_t *lines = json_object_get(page, "jobs");

		if (status != 200)
			errx(2, "GET %s: status %u", target, status);
		for (size_t i = 0; i < json_array_size(lines); i++)
			take_line(j, json_array_get(lines, i));
		snprintf(cursor, sizeof(cursor), "%s", text_at(page, "cursor"));
		json_decref(page);
	} while (cursor[0]);
}

/* A job that ran more than once ends with the result of its last attempt, no earlier one. */
static void check_result(struct judge *j, const struct book_job *job, const char *id)
{
	unsigned status;
	json_t *view = ask_job(j, id, &status);
	json_int_t ran =
		json_integer_value(json_object_get(json_object_get(view, "result"), "attempt"));

	if (status != 200)
		book_wrong(&j->book, "%s is listed, but asked for it is answered with %u", id, status);
	else if (ran != (json_int_t)job->attempts)
		book_wrong(&j->book, "%s succeeded at attempt %u with the result of attempt %lld",
			   id, job->attempts, (long long)ran);
	json_decref(view);
}

/* Is it gone, or only left out? */
static void check_missing(struct judge *j, const struct book_job *job, const char *id)
{
	unsigned status;
	json_t *view = ask_job(j, id, &status);

	if (status == 200)
		book_wrong(&j->book, "%s (%s, submission %llu) isn't in the list", id,
			   text_at(view, "state"), (unsigned long long)job->number);
	else
		book_wrong(&j->book,
			   "LOST: submission %llu was accepted as %s, which is answered with %u",
			   (unsigned long long)job->number, id, status);
	json_decref(view);
}

static void check_job(struct judge *j, struct book_job *job)
{
	char id[UUID_TEXT_SIZE];
	struct uuid uuid;

	memcpy(uuid.b, job->id, sizeof(uuid.b));
	uuid_format(&uuid, id);
	if (job->promised && !job->listed)
		check_missing(j, job, id);
	if (job->listed && !job->number)
		book_wrong(&j->book, "%s is in the daemon, but nobody knows of it", id);
	if (job->succeeded && !job->starts)
		book_wrong(&j->book, "%s succeeded without ever running", id);
	if (job->listed && job->starts && job->last_attempt > job->attempts)
		book_wrong(&j->book, "%s ran its attempt %u, but the daemon counts %u", id,
			   job->last_attempt, job->attempts);
	if (job->starts > 1) {
		j->reruns += job->starts - 1;
		if (job->succeeded)
			check_result(j, job, id);
	}
}

int ledger_judge(int argc, char *argv[])
{
	struct judge j = { 0 };
	struct book_job *job;

	if (argc != 4)
		errx(2, "ledger judge SOCKET DIRECTORY PATIENCE-SECONDS");
	int r = ga_client_connect(argv[1], &j.client);

	if (r < 0)
		errx(2, "%s: %s", argv[1], strerror(-r));
	bool rests = come_to_rest(&j, (int64_t)(strtod(argv[3], NULL) * 1e9));

	book_read(&j.book, argv[2]);
	if (!rests)
		book_wrong(&j.book, "%llu jobs still haven't finished",
			   (unsigned long long)unfinished(&j));
	list_all(&j);
	for (uint32_t pos = 0; (job = map_next(&j.book.jobs, &pos));)
		check_job(&j, job);
	book_print(&j.book);
	printf("listed=%llu\nreruns=%llu\noutcomes_unknown=%llu\n", (unsigned long long)j.listed,
	       (unsigned long long)j.reruns, (unsigned long long)j.outcomes_unknown);
	ga_client_close(j.client);
	return j.book.wrong > 0;
}
