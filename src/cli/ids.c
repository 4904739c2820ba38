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

/* With -o json what is shown of several jobs is one document: an array. Whether a job shows anything is known only when
 * it has. */
struct listing {
	bool array;
	uint64_t count;
};

static void separate(struct listing *l, size_t start)
{
	struct strbuf *out = output(), element = { 0 };

	if (!l->array || out->size <= start)
		return;
	sb_put(&element, out->data + start, out->size - start - (out->data[out->size - 1] == '\n'));
	out->size = start;
	sb_text(out, l->count++ ? ",\n" : "[\n");
	sb_put(out, element.data, element.size);
	sb_free(&element);
}

static void end_listing(const struct listing *l)
{
	if (l->array)
		sb_text(output(), l->count ? "\n]\n" : "[]\n");
}

static int one_id(struct context *x, struct listing *l, const char *id,
		  int (*each)(struct context *x, const char *id))
{
	size_t start;
	int status;

	if (!is_id(id))
		return usage(x,
			     "'%.60s' is not a job's id: those look like "
			     "01981f2c-8a3b-7000-8000-0123456789ab",
			     id);
	if (l->array)
		output_flush(); /* so that nothing else is behind `start` */
	start = output()->size;
	status = each(x, id);
	separate(l, start);
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
	struct listing listing = { .array = x->format == FORMAT_JSON };
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
		status = one_id(x, &listing, id, each);
		first = first ? first : status;
		if (result == LINES_TOO_LONG)
			break;
	}
	lines_done(&lines);
	end_listing(&listing);
	return interrupted() ? interrupted_status() : first;
}

int each_id(struct context *x, int (*each)(struct context *x, const char *id))
{
	const struct words *ids = &x->command.operands;
	struct listing listing = { .array = x->format == FORMAT_JSON && ids->count > 1 };
	int first = STATUS_OK, status = STATUS_OK;

	if (ids->count == 0)
		return usage(x, "it takes the ids of jobs, or - to read them from standard input");
	if (ids->count == 1 && strcmp(ids->item[0], "-") == 0)
		return each_line(x, each);
	for (size_t i = 0; i < ids->count && !is_final(status); i++) {
		status = one_id(x, &listing, ids->item[i], each);
		first = first ? first : status;
	}
	end_listing(&listing);
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
