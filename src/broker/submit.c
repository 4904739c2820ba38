#include "submit.h"
#include "clock.h"
#include "json_slice.h"
#include "text.h"
#include <errno.h>
#include <stdlib.h>

/* The fields of a job, in the order in which messages list them. */
enum field {
	FIELD_TYPE,
	FIELD_ARGS,
	FIELD_QUEUE,
	FIELD_PRIORITY,
	FIELD_TIMEOUT,
	FIELD_RETRIES,
	FIELD_DURABILITY,
	FIELD_DETACH,
	FIELD_RESULT_TTL,
	FIELD_COUNT
};

#define MAX_TTL 31536000.0  /* a year, in seconds */
#define ARGS_MAX (1u << 20) /* with them a job must fit into a record */
_Static_assert(ARGS_MAX + 4096 <= RECORD_MAX, "a job's record has other fields, too");

static const struct ga_param job_params[FIELD_COUNT + 1] = {
	[FIELD_TYPE] = { "type", GA_TEXT, GA_REQUIRED, NULL, 1, 64, NULL, NULL, "the job type" },
	[FIELD_ARGS] = { "args", GA_OBJECT, 0, "{}", 0, 0, NULL, NULL, "its arguments" },
	[FIELD_QUEUE] = { "queue", GA_TEXT, 0, "\"default\"", 1, 64, NULL, NULL, "the queue's name" },
	[FIELD_PRIORITY] = { "priority", GA_INTEGER, 0, "0", -100, 100, NULL, NULL, "higher first" },
	[FIELD_TIMEOUT] = { "timeout", GA_DURATION, 0, "\"30s\"", 0.001, 2592000, "s", NULL,
			    "of one attempt" },
	[FIELD_RETRIES] = { "retries", GA_ANY, 0, NULL, 0, 0, NULL, NULL, "how often, or an object" },
	[FIELD_DURABILITY] = { "durability", GA_CHOICE, 0, "\"memory\"", 0, 0, NULL,
			       "memory|write|fsync", "how it is kept" },
	[FIELD_DETACH] = { "detach", GA_BOOLEAN, 0, "false", 0, 0, NULL, NULL,
			   "goes on when its client leaves" },
	[FIELD_RESULT_TTL] = { "result_ttl", GA_DURATION, 0, NULL, 0, MAX_TTL, "s", NULL,
			       "how long the result is kept" },
};

enum retry_field {
	RETRY_MAX,
	RETRY_INITIAL,
	RETRY_FACTOR,
	RETRY_MAXIMUM,
	RETRY_JITTER,
	RETRY_COUNT
};

static const struct ga_param retry_params[RETRY_COUNT + 1] = {
	[RETRY_MAX] = { "max", GA_INTEGER, 0, "5", 0, 1000, NULL, NULL, "further attempts" },
	[RETRY_INITIAL] = { "initial", GA_DURATION, 0, "\"1s\"", 0, 86400, "s", NULL,
			    "wait before the first retry" },
	[RETRY_FACTOR] = { "factor", GA_NUMBER, 0, "2", 1, 100, NULL, NULL, "growth of the wait" },
	[RETRY_MAXIMUM] = { "maximum", GA_DURATION, 0, "\"1h\"", 0, 2592000, "s", NULL, "longest wait" },
	[RETRY_JITTER] = { "jitter", GA_NUMBER, 0, "0.2", 0, 1, NULL, NULL, "random part of the wait" },
};

static const struct retry_policy default_retries = {
	.max = 5, .initial_ms = 1000, .maximum_ms = 3600 * 1000, .factor = 2, .jitter = 0.2F
};

static const struct ga_param *find_param(const struct ga_param *params, const char *name)
{
	for (; params->name; params++) {
		if (strcmp(params->name, name) == 0)
			return params;
	}
	return NULL;
}

/* Every key of the object is a row of the table, and its value fits. */
static int check_fields(const struct ga_param *params, const char *prefix, const json_t *object,
			struct refusal *r)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)object, key, value)
	{
		const struct ga_param *param = find_param(params, key);
		char field[64], known[192] = "";

		if (param) {
			int error = param_check(param, prefix, value, r);

			if (error < 0)
				return error;
			continue;
		}
		for (const struct ga_param *p = params; p->name; p++) {
			strncat(known, p == params ? "" : " ", sizeof(known) - strlen(known) - 1);
			strncat(known, p->name, sizeof(known) - strlen(known) - 1);
		}
		snprintf(field, sizeof(field), "%s%.40s", prefix, key);
		return refuse(r, 422, "unknown_field", field,
			      "unknown field \"%s%.40s\": known are %s", prefix, key, known);
	}
	return 0;
}

static uint32_t as_ms(int64_t ns)
{
	return (uint32_t)MIN(MAX(ns / NSEC_PER_MSEC, 1), (int64_t)UINT32_MAX);
}

static int read_retries(const json_t *value, struct retry_policy *ret_policy, struct refusal *r)
{
	struct retry_policy p = default_retries;
	const json_t *v;

	if (json_is_integer(value)) {
		int error = param_check(&retry_params[RETRY_MAX], "retries.", value, r);

		if (error < 0)
			return error;
		p.max = (uint16_t)json_integer_value(value);
		*ret_policy = p;
		return 0;
	}
	if (!json_is_object(value))
		return refuse(r, 422, "bad_field", "retries",
			      "retries takes a number from 0 to 1000, or an object like "
			      "{\"max\": 5, \"initial\": \"1s\", \"factor\": 2}");
	int error = check_fields(retry_params, "retries.", value, r);

	if (error < 0)
		return error;
	if ((v = json_object_get(value, "max")))
		p.max = (uint16_t)json_integer_value(v);
	if ((v = json_object_get(value, "initial")))
		p.initial_ms = as_ms(param_duration(v));
	if ((v = json_object_get(value, "factor")))
		p.factor = (float)json_number_value(v);
	if ((v = json_object_get(value, "maximum")))
		p.maximum_ms = as_ms(param_duration(v));
	if ((v = json_object_get(value, "jitter")))
		p.jitter = (float)json_number_value(v);
	*ret_policy = p;
	return 0;
}

static int read_durability(const json_t *value, struct refusal *r)
{
	const char *name = json_string_value(value);

	if (strcmp(name, "memory") == 0)
		return 0;
	return refuse(r, 422, "durability_unavailable", "durability",
		      "durability \"%s\" needs a store, and this daemon keeps jobs in memory: use \"memory\"",
		      name);
}

static int read_queue(const json_t *value, struct job_fields *f, struct refusal *r)
{
	const char *name = json_string_value(value);

	if (!name_valid(name, strlen(name)))
		return refuse(r, 422, "bad_field", "queue",
			      "queue \"%s\": takes 1 to 64 letters, digits, '.', '_' or '-', not starting with '.'",
			      name);
	f->queue_size = strlen(name);
	memcpy(f->queue_text, name, f->queue_size);
	return 0;
}

void job_fields_defaults(struct job_fields *ret_fields)
{
	*ret_fields = (struct job_fields){ .timeout_ms = 30000, .retries = default_retries };
}

int job_fields_read(const json_t *object, bool whole, struct job_fields *ret_fields, struct refusal *r)
{
	struct job_fields f;
	const json_t *v;
	int error = check_fields(whole ? job_params : job_params + FIELD_QUEUE, "", object, r);

	job_fields_defaults(&f);
	if (error == 0 && (v = json_object_get(object, "queue")))
		error = read_queue(v, &f, r);
	if (error == 0 && (v = json_object_get(object, "retries"))) {
		error = read_retries(v, &f.retries, r);
		f.has_retries = true;
	}
	if (error == 0 && (v = json_object_get(object, "durability")))
		error = read_durability(v, r);
	if (error < 0)
		return error;
	if ((v = json_object_get(object, "priority")))
		f.priority = (int8_t)json_integer_value(v);
	if ((v = json_object_get(object, "timeout")))
		f.timeout_ms = as_ms(param_duration(v));
	if ((v = json_object_get(object, "detach")))
		f.detach = json_is_true(v);
	if ((v = json_object_get(object, "result_ttl")))
		f.result_ttl = MAX(param_duration(v), 1);
	*ret_fields = f;
	return 0;
}

int submit_type(struct broker *b, struct span name, const struct job_type **ret_type, struct refusal *r)
{
	const struct job_type *type = type_find(b->types, name);

	if (!type) {
		char known[160] = "";

		for (size_t i = 0; (type = type_at(b->types, i)); i++) {
			strncat(known, i ? " " : "", sizeof(known) - strlen(known) - 1);
			strncat(known, type->name, sizeof(known) - strlen(known) - 1);
		}
		return refuse(r, 422, "unknown_type", "type", "unknown job type \"%.*s\": known are %s",
			      (int)MIN(name.size, (size_t)64), name.data, known);
	}
	*ret_type = type;
	return 0;
}

static int check_args(const struct job_type *type, struct span *args, const json_t *tree,
		      struct refusal *r)
{
	json_t *parsed = NULL;
	int error = 0;

	if (args->size > ARGS_MAX)
		return refuse(r, 413, "args_too_large", "args",
			      "the arguments have at most %u bytes", ARGS_MAX);

	if (span_equal(*args, SPAN("{}")))
		args->size = 0;
	if (args->size > 0 && !tree)
		error = json_read_object(*args, "args", &parsed, r);
	if (error == 0 && (args->size > 0 || type->required))
		error = type_check_args(type, args->size ? tree ? tree : parsed : NULL, r);
	json_decref(parsed);
	return error;
}

/* There is no room for it now. */
static int refuse_for_now(const struct broker *b, int error, struct refusal *r)
{
	switch (error) {
	case -ENOBUFS:
		refuse(r, 429, "too_many_jobs", "",
		       "%lld jobs are waiting or running, as many as max_jobs allows: try again later",
		       (long long)b->conf->max_jobs);
		break;
	case -EDQUOT:
		refuse(r, 429, "too_many_bytes", "args",
		       "the arguments of waiting and running jobs take as much memory as args_bytes allows: "
		       "try again later");
		break;
	case -ENOSPC:
		refuse(r, 429, "too_many_queues", "queue",
		       "there are as many queues with jobs as there may be: use one of them, or try again later");
		break;
	default:
		return refuse(r, 503, "no_memory", "", "the daemon is out of memory: try again later");
	}
	r->retry_after_ms = 1000;
	return -EINVAL;
}

int submit_job(struct broker *b, const struct job_type *type, const struct job_fields *fields,
	       struct span args, const json_t *tree, const struct submit_origin *origin,
	       struct job **ret_job, struct refusal *r)
{
	int error = check_args(type, &args, tree, r);

	if (error < 0)
		return error;
	if (b->draining)
		return refuse(r, 503, "draining", "",
			      "this daemon is shutting down: submit to another, or again in a moment");
	struct bytes *text = args.size ? bytes_new(args.data, args.size) : NULL;

	if (args.size && !text)
		return refuse(r, 503, "no_memory", "", "the daemon is out of memory: try again later");
	struct submission s = { .type = type->index,
				.job_class = type->job_class,
				.queue = { fields->queue_text, fields->queue_size },
				.args = text,
				.priority = fields->priority,
				.detached = fields->detach,
				.timeout_ms = fields->timeout_ms,
				.retries = fields->retries,
				.client = origin->client,
				.tag = origin->tag,
				.result_ttl = fields->result_ttl };

	if (origin->waits && !fields->has_retries)
		s.retries.max = 0;
	error = engine_submit(broker_engine(b), &s, ret_job);
	bytes_unref(text);
	return error < 0 ? refuse_for_now(b, error, r) : 0;
}

int submit_object(struct broker *b, const json_t *object, struct span text,
		  const struct submit_origin *origin, struct job **ret_job, struct refusal *r)
{
	const json_t *name = json_object_get(object, "type");
	const json_t *args = json_object_get(object, "args");
	const struct job_type *type;
	struct job_fields fields;

	if (!json_is_object(object))
		return refuse(r, 400, "bad_job", "",
			      "a job is a JSON object like {\"type\": \"noop\"}");
	if (!name)
		return refuse(r, 422, "missing_field", "type",
			      "type is missing: a job is an object like {\"type\": \"noop\"}");
	int error = job_fields_read(object, true, &fields, r);

	if (error == 0)
		error = submit_type(b, span_of(json_string_value(name)), &type, r);
	if (error < 0)
		return error;
	struct span args_text = args && json_object_size(args) > 0
					? json_member_text(text, SPAN("args"))
					: (struct span){ 0 };

	if (args && json_object_size(args) > 0 && args_text.size == 0)
		return refuse(r, 422, "bad_field", "args",
			      "the key \"args\" takes no escapes: write it plainly");
	return submit_job(b, type, &fields, args_text, args, origin, ret_job, r);
}
