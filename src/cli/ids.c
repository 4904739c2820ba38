#include "ids.h"
#include "columns.h"
#include "lines.h"
#include "output.h"
#include "session.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_id(const char *text)
{
	return strlen(text) == 36 && strspn(text, "0123456789abcdefABCDEF-") == 36;
}

static int one_id(struct context *x, const char *id, int (*each)(struct context *x, const char *id))
{
	int status;

	if (!is_id(id))
		return usage(x,
			     "'%.60s' is not a job's id: those look like "
			     "01981f2c-8a3b-7000-8000-0123456789ab",
			     id);
	status = each(x, id);
	if (output_is_waited_for())
		output_flush();
	else
		output_check();
	return status;
}

static bool is_final(int status)
{
	return interrupted() || status == STATUS_UNREACHABLE || output_failed();
}

static int each_line(struct context *x, int (*each)(struct context *x, const char *id))
{
	struct lines lines;
	int first = STATUS_OK, status = STATUS_OK;

	lines_init(&lines, STDIN_FILENO);
	while (!is_final(status)) {
		const char *line;
		size_t size;
		enum lines_result result = lines_next(&lines, &line, &size);
		char id[64];

		if (result == LINES_END)
			break;
		if (result == LINES_WAIT) {
			int error = lines_read(&lines);

			if (error < 0 && error != -EINTR) {
				say("standard input: %s", strerror(-error));
				first = STATUS_FAILED;
				break;
			}
			continue;
		}
		snprintf(id, sizeof(id), "%.*s", result == LINES_ONE && size < 60 ? (int)size : 4,
			 result == LINES_ONE ? line : "????");
		status = one_id(x, id, each);
		first = first ? first : status;
		if (result == LINES_TOO_LONG)
			break;
	}
	lines_done(&lines);
	return interrupted() ? interrupted_status() : first;
}

int each_id(struct context *x, int (*each)(struct context *x, const char *id))
{
	const struct words *ids = &x->command.operands;
	int first = STATUS_OK, status = STATUS_OK;

	if (ids->count == 0)
		return usage(x, "it takes the ids of jobs, or - to read them from standard input");
	if (ids->count == 1 && strcmp(ids->item[0], "-") == 0)
		return each_line(x, each);
	for (size_t i = 0; i < ids->count && !is_final(status); i++) {
		status = one_id(x, ids->item[i], each);
		first = first ? first : status;
	}
	return interrupted() ? interrupted_status() : first;
}

json_t *ask_job(struct context *x, const char *method, const char *id, const char *suffix,
		int *ret_status)
{
	struct ga_response response;
	char target[128];
	json_t *root;

	snprintf(target, sizeof(target), "/v1/jobs/%s%s", id, suffix);
	*ret_status = ask_any(x, method, target, GA_CLIENT_FOREVER, &response);
	if (*ret_status != STATUS_OK)
		return NULL;
	if (response.status >= 400) {
		*ret_status = say_problem(id, &response);
		return NULL;
	}
	root = json_loadb(response.body.data, response.body.size, 0, NULL);
	if (!root) {
		say("%s: the answer isn't JSON", id);
		*ret_status = STATUS_FAILED;
	}
	return root;
}

int change_job(struct context *x, const char *id, const char *suffix)
{
	int status;
	json_t *job = ask_job(x, "POST", id, suffix, &status);
	const char *state = json_string_value(json_object_get(job, "state"));

	if (!job)
		return status;
	if (x->format == FORMAT_JSON || x->format == FORMAT_JSONL)
		put_document(output(), job, x->format);
	else if (x->format == FORMAT_ID)
		sb_printf(output(), "%s\n", id);
	else if (x->format == FORMAT_TEXT)
		sb_printf(output(), "%s %s\n", id, state ? state : "?");
	json_decref(job);
	return STATUS_OK;
}
