#include "columns.h"
#include "output.h"
#include "period.h"
#include "session.h"
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE_WAIT "5s"      /* how long the daemon holds a page that has nothing yet */
#define INLINE_MAX "262144" /* bytes of a result; what is longer is asked for by itself */
#define POST_NS INT64_C(60000000000)
#define CANCEL_NS INT64_C(5000000000)

static const char *wait_limit;

static const struct flag flags[] = {
	{ "wait", 'w', "TIME", "give up after so long (never)", .text = &wait_limit },
	{ 0 },
};

struct follow {
	struct context *x;
	char id[40];
	uint64_t cursor, printed;
	int64_t deadline;
	int failed;  /* members that failed or expired */
	int stopped; /* that were cancelled; a wait that got what it waited for does so itself */
	bool cancelled;
};

static int show_result(struct follow *f, json_t *result, const char *place);

/* ---- the file ---- */

static int read_file(const char *name, struct strbuf *text)
{
	int fd = strcmp(name, "-") == 0 ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;

	if (fd >= 0) {
		while ((n = read(fd, sb_reserve(text, 65536), 65536)) != 0) {
			if (n < 0 && (errno != EINTR || interrupted()))
				break;
			text->size += n > 0 ? (size_t)n : 0;
		}
	}
	if (n < 0)
		say("%s: %s", name, strerror(errno));
	if (fd > STDIN_FILENO)
		close(fd);
	return n < 0 ? (interrupted() ? interrupted_status() : STATUS_USAGE) : STATUS_OK;
}

/* Whether it was taken has to be known, or it couldn't be cancelled: an interruption waits for the answer. */
static int post(struct follow *f, const struct strbuf *text, struct ga_response *ret_response)
{
	sigset_t held, before;
	int result;

	sigemptyset(&held);
	sigaddset(&held, SIGINT);
	sigaddset(&held, SIGTERM);
	sigaddset(&held, SIGHUP);
	sigprocmask(SIG_BLOCK, &held, &before);
	result = ga_client_request(f->x->client, "POST", "/v1/groups?wait=0", text->data,
				   text->size, ga_client_now() + POST_NS, ret_response);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return result;
}

static int hand_over(struct follow *f, const char *name)
{
	struct strbuf text = { 0 };
	struct ga_response response;
	int result, status = read_file(name, &text);

	if (status == STATUS_OK)
		status = session_open(f->x);
	if (status == STATUS_OK) {
		result = post(f, &text, &response);
		if (result < 0)
			status = session_failed(f->x, result);
		else if (response.status >= 400)
			status = say_problem(strcmp(name, "-") == 0 ? NULL : name, &response);
	}
	sb_free(&text);
	if (status != STATUS_OK)
		return status;
	json_t *answer = json_loadb(response.body.data, response.body.size, 0, NULL);
	const char *id = json_string_value(json_object_get(answer, "id"));

	snprintf(f->id, sizeof(f->id), "%.39s", id ? id : "");
	json_decref(answer);
	return STATUS_OK;
}

/* ---- what the daemon left out of a page ---- */

static json_t *fetch_json(struct follow *f, const char *target)
{
	struct ga_response response;

	if (ga_client_request(f->x->client, "GET", target, NULL, 0, GA_CLIENT_FOREVER, &response) < 0 ||
	    response.status >= 400)
		return NULL;
	return json_loadb(response.body.data, response.body.size, 0, NULL);
}

static void fetch_body(struct follow *f, json_t *result)
{
	struct ga_response response;
	struct strbuf text = { 0 };
	char target[80];

	snprintf(target, sizeof(target), "/v1/jobs/%.39s/result",
		 json_string_value(json_object_get(result, "id")));
	if (ga_client_request(f->x->client, "GET", target, NULL, 0, GA_CLIENT_FOREVER, &response) < 0 ||
	    response.status >= 400)
		return;
	json_t *body = json_stringn(response.body.data, response.body.size);

	if (body) {
		json_object_set_new(result, "body", body);
	} else {
		sb_base64(&text, response.body.data, response.body.size);
		json_object_set_new(result, "body_base64", json_string(sb_string(&text)));
		sb_free(&text);
	}
	json_object_del(result, "body_bytes");
}

/* The members of a group that is itself a member, one by one. */
static void fetch_results(struct follow *f, json_t *result)
{
	json_t *results = json_array();
	size_t members = (size_t)json_integer_value(json_object_get(result, "results_left_out"));
	char target[160];

	for (size_t i = 0; i < members; i++) {
		snprintf(target, sizeof(target),
			 "/v1/groups/%.39s/results?cursor=%zu&limit=1&array=true&inline_max=" INLINE_MAX,
			 json_string_value(json_object_get(result, "id")), i);
		json_t *page = fetch_json(f, target);

		json_array_extend(results, json_object_get(page, "results"));
		json_decref(page);
	}
	json_object_set_new(result, "results", results);
	json_object_del(result, "results_left_out");
}

static void complete(struct follow *f, json_t *result)
{
	if (json_object_get(result, "body_bytes"))
		fetch_body(f, result);
	if (json_object_get(result, "results_left_out"))
		fetch_results(f, result);
	for (size_t i = 0; i < json_array_size(json_object_get(result, "results")); i++)
		complete(f, json_array_get(json_object_get(result, "results"), i));
}

/* ---- showing ---- */

static void put_line(const char *data, size_t size)
{
	sb_put(output(), data, size);
	if (size > 0 && data[size - 1] != '\n')
		sb_char(output(), '\n');
}

static void put_value_of(const json_t *result)
{
	const json_t *body = json_object_get(result, "body"),
		     *meta = json_object_get(result, "result");
	const char *base64 = json_string_value(json_object_get(result, "body_base64"));

	if (body) {
		put_line(json_string_value(body), json_string_length(body));
	} else if (base64) {
		put_line(base64, strlen(base64));
	} else if (meta) {
		char *text = document_text(meta, JSON_COMPACT);

		put_line(text ? text : "", text ? strlen(text) : 0);
		free(text);
	}
}

static void say_error(const json_t *result, const char *place, const char *state)
{
	const json_t *error = json_object_get(result, "error");
	struct strbuf text = { 0 };

	if (json_object_get(error, "message"))
		put_value(&text, json_object_get(error, "message"));
	else
		sb_text(&text, state);
	say("%s: %s", place, sb_string(&text));
	sb_free(&text);
}

static int show_text(struct follow *f, json_t *result, const char *place)
{
	const char *state = json_string_value(json_object_get(result, "state"));
	json_t *results = json_object_get(result, "results");

	if (json_is_array(results)) {
		for (size_t i = 0; i < json_array_size(results); i++)
			show_result(f, json_array_get(results, i), place);
		return 0;
	}
	if (state && strcmp(state, "succeeded") == 0)
		put_value_of(result);
	else if (json_object_get(result, "finished_at") || json_object_get(result, "error"))
		say_error(result, place, state ? state : "?");
	else if (!f->x->quiet)
		say("%s: still %s", place, state ? state : "?");
	return 0;
}

static void put_separated(struct follow *f, const char *text)
{
	if (f->x->format == FORMAT_JSON)
		sb_text(output(), f->printed ? ",\n" : "[\n");
	f->printed++;
	sb_text(output(), text);
	if (f->x->format == FORMAT_JSONL)
		sb_char(output(), '\n');
}

static int show_result(struct follow *f, json_t *result, const char *outer)
{
	char place[64];

	snprintf(place, sizeof(place), "%.40s%s%lld", outer, *outer ? "/" : "member ",
		 (long long)json_integer_value(json_object_get(result, "index")));
	return show_text(f, result, place);
}

static bool member_is(const json_t *object, const char *key, const char *text)
{
	const char *value = json_string_value(json_object_get(object, key));

	return value && strcmp(value, text) == 0;
}

/* Whether it is a wait that got what it waited for: then that it cancelled the rest is no failure. */
static bool is_satisfied_wait(const json_t *group)
{
	return member_is(group, "kind", "wait") && member_is(group, "state", "succeeded");
}

static void count_failures(struct follow *f, const json_t *result, bool spare_cancelled)
{
	const json_t *results = json_object_get(result, "results");

	spare_cancelled = spare_cancelled || is_satisfied_wait(result);
	for (size_t i = 0; i < json_array_size(results); i++)
		count_failures(f, json_array_get(results, i), spare_cancelled);
	if (results || !json_object_get(result, "finished_at") ||
	    member_is(result, "state", "succeeded"))
		return;
	if (!member_is(result, "state", "cancelled"))
		f->failed++;
	else if (!spare_cancelled)
		f->stopped++;
}

static void show_line(struct follow *f, const char *line, size_t size)
{
	json_t *result = json_loadb(line, size, 0, NULL);
	const char *id = json_string_value(json_object_get(result, "id"));
	char *text = NULL;

	complete(f, result);
	count_failures(f, result, false);
	switch (f->x->format) {
	case FORMAT_JSON:
	case FORMAT_JSONL:
		text = document_text(result, JSON_COMPACT);
		put_separated(f, text ? text : "{}");
		break;
	case FORMAT_ID:
		if (id)
			sb_printf(output(), "%s\n", id);
		break;
	case FORMAT_TEXT:
		show_result(f, result, "");
		break;
	default:
		break;
	}
	free(text);
	json_decref(result);
	if (output_is_waited_for())
		output_flush();
	else
		output_check();
}

/* ---- following ---- */

/* The lines of a page, but for its last one, which says how the group stands: a new reference. */
static json_t *show_page(struct follow *f, struct ga_bytes page)
{
	struct strbuf copy = { 0 }; /* what was left out is asked for meanwhile */
	json_t *status = NULL;
	const char *at, *end;

	sb_put(&copy, page.data, page.size);
	at = copy.data;
	end = at + copy.size;
	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));

		if (!newline || newline + 1 == end) {
			status = json_loadb(at, (size_t)(end - at), 0, NULL);
			break;
		}
		show_line(f, at, (size_t)(newline - at));
		at = newline + 1;
	}
	sb_free(&copy);
	return status;
}

static int status_of_group(struct follow *f, const json_t *group)
{
	const char *state = json_string_value(json_object_get(group, "state"));
	const json_t *error = json_object_get(group, "error");

	if (json_object_get(error, "message") && !f->cancelled) {
		struct strbuf text = { 0 };

		put_value(&text, json_object_get(error, "message"));
		say("the group %s %s: %s", member_is(group, "state", "cancelled") ? "was" : "has",
		    state ? state : "ended", sb_string(&text));
		sb_free(&text);
	}
	if (json_is_true(json_object_get(group, "timed_out")))
		return STATUS_PENDING;
	if (state && strcmp(state, "succeeded") == 0)
		return f->failed || (f->stopped && !is_satisfied_wait(group)) ? STATUS_FAILED
									      : STATUS_OK;
	return STATUS_FAILED;
}

/* Interrupted, or out of time: end it, and wait a little for that. False: stop now. */
static bool give_up(struct follow *f)
{
	struct ga_response response;
	char target[80];

	if (f->cancelled || interruptions() > 1)
		return false;
	if (!interrupted())
		say("not finished in %s: cancelled", wait_limit);
	f->cancelled = true;
	f->deadline = ga_client_now() + CANCEL_NS;
	snprintf(target, sizeof(target), "/v1/groups/%s/cancel", f->id);
	return ga_client_request(f->x->client, "POST", target, NULL, 0, f->deadline, &response) == 0;
}

static int follow(struct follow *f)
{
	int status = STATUS_OK;

	for (;;) {
		struct ga_response response;
		char target[160];

		snprintf(target, sizeof(target),
			 "/v1/groups/%s/results?follow=true&wait=" PAGE_WAIT
			 "&inline_max=" INLINE_MAX "&cursor=%llu",
			 f->id, (unsigned long long)f->cursor);
		int result = interrupted() && !f->cancelled
				     ? -EINTR /* between two waits */
				     : ga_client_request(f->x->client, "GET", target, NULL, 0,
							 f->deadline, &response);

		if (result == -EINTR && !interrupted())
			continue;
		if (result == -ETIMEDOUT || result == -EINTR) {
			if (!status)
				status = result == -EINTR ? interrupted_status() : STATUS_PENDING;
			if (!give_up(f))
				return status;
			continue;
		}
		if (result < 0)
			return session_failed(f->x, result);
		if (response.status >= 400)
			return say_problem(NULL, &response);
		json_t *page = show_page(f, response.body), *group = json_object_get(page, "group");
		bool more = json_is_true(json_object_get(page, "more"));

		f->cursor = (uint64_t)json_integer_value(json_object_get(page, "cursor"));
		if (!more && !status)
			status = page ? status_of_group(f, group) : STATUS_FAILED;
		json_decref(page);
		if (!more || output_failed())
			return status;
	}
}

static int run(struct context *x)
{
	const struct words *operands = &x->command.operands;
	struct follow f = { .x = x };
	int64_t ns = 0;
	int status;

	if (operands->count != 1)
		return usage(x, "it takes a file with a group, or - for standard input");
	if (wait_limit && !period_parse(wait_limit, &ns))
		return usage(x, "--wait takes " PERIOD_FORMS ", not '%s'", wait_limit);
	f.deadline = wait_limit ? ga_client_now() + ns : GA_CLIENT_FOREVER;
	status = hand_over(&f, operands->item[0]);
	if (status != STATUS_OK)
		return status;
	status = follow(&f);
	if (x->format == FORMAT_JSON)
		sb_text(output(), f.printed ? "\n]\n" : "[]\n");
	return status;
}

const struct verb verb_group = {
	.name = "group",
	.operands = "FILE | -",
	.summary = "run jobs that belong together: gather, wait, chain, map",
	.details =
		"FILE is a JSON object: {\"gather\": [job, ...]} runs all, {\"wait\": [...], \"until\": "
		"\"first_completed\"}\nuntil some have ended, {\"chain\": [...]} one after the other, {\"map\": "
		"job, \"over\": [...]} one for each\nvalue. Groups nest. A job of a chain may use earlier "
		"results: {\"$ref\": \"0#/json/token\"}.\nPrints the results in order. Ctrl-C cancels all of "
		"it. Exit status 1: a job failed; 3: it took too long.\n",
	.examples = "  gather group jobs.json\n"
		    "  echo '{\"gather\": [{\"type\": \"sleep\", \"args\": {\"seconds\": 0.2}}]}' | gather "
		    "--local group -\n"
		    "  gather group -o jsonl --wait 1m chain.json\n",
	.flags = flags,
	.run = run,
};
