#include "line_ops.h"
#include "json_slice.h"
#include <stdio.h>
#include <stdlib.h>

enum {
	TAKES_ID = 1,   /* behind the path */
	TAKES_BODY = 2, /* all its other members */
	ONE_LINE = 4,   /* it may have several results */
};

struct op {
	const char *name, *method, *path;
	unsigned takes;
	const char *tail; /* behind the id */
};

static const struct op ops[] = {
	{ "show", "GET", "/v1/jobs/", TAKES_ID, NULL },
	{ "result", "GET", "/v1/jobs/", TAKES_ID, "/result" },
	{ "why", "GET", "/v1/jobs/", TAKES_ID, "/why" },
	{ "attempts", "GET", "/v1/jobs/", TAKES_ID, "/attempts" },
	{ "logs", "GET", "/v1/jobs/", TAKES_ID, "/logs" },
	{ "cancel", "POST", "/v1/jobs/", TAKES_ID, "/cancel" },
	{ "retry", "POST", "/v1/jobs/", TAKES_ID, "/retry" },
	{ "list", "GET", "/v1/jobs", 0, NULL },
	{ "bulk", "POST", "/v1/bulk", TAKES_BODY, NULL },
	{ "groups", "GET", "/v1/groups", 0, NULL },
	{ "group", "GET", "/v1/groups/", TAKES_ID, NULL },
	{ "group_results", "GET", "/v1/groups/", TAKES_ID | ONE_LINE, "/results" },
	{ "group_cancel", "POST", "/v1/groups/", TAKES_ID, "/cancel" },
	{ "workers", "GET", "/v1/workers", 0, NULL },
	{ "queues", "GET", "/v1/queues", 0, NULL },
	{ "queue", "GET", "/v1/queues/", TAKES_ID, NULL },
	{ "queue_set", "POST", "/v1/queues/", TAKES_ID | TAKES_BODY, NULL },
	{ "queue_unset", "DELETE", "/v1/queues/", TAKES_ID, NULL },
	{ "pause", "POST", "/v1/queues/", TAKES_ID, "/pause" },
	{ "resume", "POST", "/v1/queues/", TAKES_ID, "/resume" },
	{ "limits", "GET", "/v1/limits", 0, NULL },
	{ "limit", "GET", "/v1/limits/", TAKES_ID, NULL },
	{ "limit_set", "POST", "/v1/limits/", TAKES_ID | TAKES_BODY, NULL },
	{ "limit_unset", "DELETE", "/v1/limits/", TAKES_ID, NULL },
	{ "limit_pause", "POST", "/v1/limits/", TAKES_ID, "/pause" },
	{ "limit_resume", "POST", "/v1/limits/", TAKES_ID, "/resume" },
	{ "schedules", "GET", "/v1/schedules", 0, NULL },
	{ "schedule", "GET", "/v1/schedules/", TAKES_ID, NULL },
	{ "schedule_set", "PUT", "/v1/schedules/", TAKES_ID | TAKES_BODY, NULL },
	{ "schedule_rm", "DELETE", "/v1/schedules/", TAKES_ID, NULL },
	{ "schedule_pause", "POST", "/v1/schedules/", TAKES_ID, "/pause" },
	{ "schedule_resume", "POST", "/v1/schedules/", TAKES_ID, "/resume" },
	{ "schedule_run", "POST", "/v1/schedules/", TAKES_ID, "/run" },
	{ "types", "GET", "/v1/types", 0, NULL },
	{ "stats", "GET", "/v1/stats", 0, NULL },
};

/* What a verb takes in its query; a line's own "tag" is another thing than a job's tags. */
static const struct {
	const char *name, *parameter;
} query_names[] = { { "state", "state" },   { "type", "type" },   { "queue", "queue" },
		    { "tagged", "tag" },    { "since", "since" }, { "limit", "limit" },
		    { "cursor", "cursor" }, { "wait", "wait" },   { "order", "order" },
		    { "follow", "follow" } };
#define AS_ARRAY "&array=true"

#define QUERY_VALUE_MAX 64
_Static_assert(ARRAY_SIZE(query_names) * (3 * QUERY_VALUE_MAX + 10) + sizeof(AS_ARRAY) <= OP_QUERY_MAX,
	       "a query fits");

static int refuse_op(struct refusal *r)
{
	char known[352] = "";

	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		strncat(known, i ? " " : "", sizeof(known) - strlen(known) - 1);
		strncat(known, ops[i].name, sizeof(known) - strlen(known) - 1);
	}
	return refuse(r, 422, "unknown_op", "op", "op takes one of %s", known);
}

static const struct op *find_op(const char *name)
{
	for (size_t i = 0; name && i < ARRAY_SIZE(ops); i++) {
		if (strcmp(ops[i].name, name) == 0)
			return &ops[i];
	}
	return NULL;
}

/* What the verb takes besides the id, as a query. What it doesn't take is told, not passed over. */
static int write_query(const struct op *op, const json_t *line, char *out, struct refusal *r)
{
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)(uintptr_t)line, key, v)
	{
		size_t i = 0;
		char number[32];
		const char *text = json_string_value(v);

		while (i < ARRAY_SIZE(query_names) && strcmp(query_names[i].name, key) != 0)
			i++;
		if (i == ARRAY_SIZE(query_names)) {
			if (strcmp(key, "op") == 0 || strcmp(key, "id") == 0)
				continue;
			return refuse(r, 422, "unknown_field", key,
				      "unknown field \"%.40s\": an op takes id, state, type, queue, tagged, "
				      "since, limit, cursor, wait, order, follow and tag",
				      key);
		}
		if (json_is_integer(v)) {
			snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(v));
			text = number;
		}
		if (!text || strlen(text) > QUERY_VALUE_MAX)
			return refuse(r, 422, "bad_field", key,
				      "%s takes a text of at most %d bytes, or a whole number", key,
				      QUERY_VALUE_MAX);
		out += sprintf(out, "&%s=", query_names[i].parameter);
		for (; *text; text++)
			out += sprintf(out, "%%%02x", (unsigned char)*text);
	}
	strcpy(out, op->takes & ONE_LINE ? AS_ARRAY : "");
	return 0;
}

static int write_body(const json_t *line, char **ret_body, struct refusal *r)
{
	json_t *rest = json_copy((json_t *)(uintptr_t)line);

	json_object_del(rest, "op");
	json_object_del(rest, "id");
	*ret_body = rest ? json_dumps(rest, JSON_COMPACT) : NULL;
	json_decref(rest);
	if (!*ret_body)
		return refuse(r, 503, "no_memory", "", "the daemon is out of memory: try again later");
	return 0;
}

int op_read(const json_t *line, struct op_request *ret_request, struct refusal *r)
{
	const char *id = json_string_value(json_object_get(line, "id"));
	struct op_request *q = ret_request;
	const struct op *op = find_op(json_string_value(json_object_get(line, "op")));

	if (!op)
		return refuse_op(r);
	if ((op->takes & TAKES_ID) && (!id || strlen(id) > OP_ID_MAX || strchr(id, '/')))
		return refuse(r, 422, "missing_field", "id",
			      "op \"%s\" takes the id or the name of what it is about: {\"op\": \"%s\", \"id\": \"...\"}",
			      op->name, op->name);
	q->method = op->method;
	q->query[0] = '\0';
	q->body = NULL;
	snprintf(q->path, sizeof(q->path), "%s%s%s", op->path, op->takes & TAKES_ID ? id : "",
		 op->tail ? op->tail : "");
	return op->takes & TAKES_BODY ? write_body(line, &q->body, r)
				      : write_query(op, line, q->query, r);
}

static int write_wait(const json_t *wait, char *out, struct refusal *r)
{
	const char *text = json_string_value(wait);

	if (!wait || json_is_false(wait))
		return 0;
	if (json_is_true(wait)) /* as long as a request may */
		strcpy(out, "wait=1d");
	else if (json_is_number(wait))
		sprintf(out, "wait=%.15g", json_number_value(wait));
	else if (text && strlen(text) < QUERY_VALUE_MAX && !strpbrk(text, "&%+"))
		sprintf(out, "wait=%s", text);
	else
		return refuse(r, 422, "bad_field", "wait",
			      "wait takes true, or a duration such as \"30s\"");
	return 0;
}

int op_group(const json_t *line, struct span text, struct op_request *ret_request, struct refusal *r)
{
	const json_t *wait = json_object_get(line, "wait");
	struct span group = json_member_text(text, SPAN("group"));
	struct op_request *q = ret_request;

	q->method = "POST";
	strcpy(q->path, "/v1/groups");
	q->query[0] = '\0';
	q->body = NULL;
	if (json_object_size(line) > 1 + (size_t)(wait != NULL))
		return refuse(
			r, 422, "unknown_field", "",
			"a line with a group takes group, wait and tag: its options stand inside of it");
	if (write_wait(wait, q->query, r) < 0)
		return -EINVAL;
	q->body = strndup(group.data ? group.data : "", group.size);
	if (!q->body)
		return refuse(r, 503, "no_memory", "", "the daemon is out of memory: try again later");
	return 0;
}

void op_done(struct op_request *request)
{
	free(request->body);
	request->body = NULL;
}
