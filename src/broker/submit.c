#include "submit.h"
#include "clock.h"
#include "json_slice.h"
#include "keep.h"
#include "limit_form.h"
#include "text.h"
#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>

#define ARGS_MAX (1u << 20) /* with them a job must fit into a record */
_Static_assert(ARGS_MAX + 4096 <= RECORD_MAX, "a job's record has other fields, too");

static int read_args(const struct job_type *type, bool references, struct span *args,
		     const json_t **tree, json_t **ret_parsed, struct refusal *r);
static int choose_durability(const struct broker *b, const struct job_fields *f, bool waits,
			     enum job_durability *ret_durability, struct refusal *r);
static void set_times(const struct broker *b, const struct job_fields *f, struct submission *s);
static void set_keys(const struct job_type *type, const struct job_fields *f, const json_t *args,
		     struct prepared *p);

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

static int check_state(const struct broker *b, enum job_durability durability, struct refusal *r)
{
	if (b->draining)
		return refuse(r, 503, "draining", "",
			      "this daemon is shutting down: submit to another, or again in a moment");
	if (b->failed) {
		refuse(r, 503, "store_failed", "", "the store has failed: try again in a moment");
		r->retry_after_ms = 1000;
		return -EINVAL;
	}
	if (durability != DURABILITY_MEMORY && keep_is_full(b)) {
		refuse(r, 429, "store_busy", "",
		       "as much waits for the disk as may (store.queue_bytes): try again later");
		r->retry_after_ms = 1000;
		return -EINVAL;
	}
	if (durability != DURABILITY_MEMORY && keep_is_stalled(b)) {
		refuse(r, 503, "store_full", "",
		       "the disk is full: durable jobs are refused until there is room, those of durability "
		       "\"memory\" are not");
		r->retry_after_ms = 10000;
		return -EINVAL;
	}
	return 0;
}

static void fill(struct broker *b, const struct job_type *type, const struct job_fields *f,
		 const struct submit_origin *origin, struct submission *s)
{
	bool durable = s->durability != DURABILITY_MEMORY;

	s->type = type->index;
	s->job_class = type->job_class;
	s->queue = (struct span){ f->queue, f->queue_size };
	s->priority = f->priority;
	s->detached = f->detach || durable;
	s->at_most_once = f->at_most_once;
	s->timeout_ms = f->timeout_ms;
	s->retries = f->retries;
	s->client = origin->client;
	s->tag = origin->tag;
	s->exempt = origin->exempt;
	s->result_ttl = f->result_ttl;
	s->failed_ttl = f->failed_ttl;
	s->limit_key = (struct span){ f->limit_key, f->limit_key_size };
	if (!f->has_retries && (origin->waits || f->at_most_once))
		s->retries.max = 0;
	buf_clear(&b->options);
	if (f->object || (durable && origin->waits))
		fields_options(f, durable, origin->waits, &b->options);
	s->options = (struct span){ buf_data(&b->options), buf_size(&b->options) };
	set_times(b, f, s);
}

int submit_prepare(struct broker *b, const struct job_type *type, const struct job_fields *fields,
		   struct span args, const json_t *tree, const struct submit_origin *origin,
		   struct prepared *ret_prepared, struct refusal *r)
{
	enum job_durability durability = DURABILITY_MEMORY;
	json_t *parsed = NULL;
	int error = read_args(type, origin->references, &args, &tree, &parsed, r);

	broker_engine(b);
	if (error == 0 && fields->calls_webhook && !origin->calls_webhook)
		error = refuse(r, 422, "unknown_field", CALL_FIELD,
			       "the field " CALL_FIELD " is the daemon's own");
	if (error == 0)
		error = choose_durability(b, fields, origin->waits, &durability, r);
	if (error == 0 && !origin->exempt)
		error = check_state(b, durability, r);
	if (error == 0) {
		struct prepared *p = ret_prepared;

		p->s = (struct submission){ .durability = durability };
		p->args = args.size ? bytes_new(args.data, args.size) : NULL;
		if (args.size && !p->args) {
			error = refuse(r, 503, "no_memory", "",
				       "the daemon is out of memory: try again later");
		} else {
			p->s.args = p->args;
			fill(b, type, fields, origin, &p->s);
			set_keys(type, fields, tree, p);
		}
	}
	json_decref(parsed);
	return error;
}

void prepared_done(struct prepared *p)
{
	bytes_unref(GA_TAKE_PTR(p->args));
}

static int read_args(const struct job_type *type, bool references, struct span *args,
		     const json_t **tree, json_t **ret_parsed, struct refusal *r)
{
	int error = 0;

	if (args->size > ARGS_MAX)
		return refuse(r, 413, "args_too_large", "args",
			      "the arguments have at most %u bytes", ARGS_MAX);
	if (span_equal(*args, SPAN("{}")))
		args->size = 0;
	if (args->size == 0)
		*tree = NULL;
	else if (!*tree)
		error = json_read_object(*args, "args", ret_parsed, r);
	if (*ret_parsed)
		*tree = *ret_parsed;
	if (error == 0 && (args->size > 0 || type->required))
		error = references ? type_check_template(type, *tree, r)
				   : type_check_args(type, *tree, r);
	return error;
}

static int choose_durability(const struct broker *b, const struct job_fields *f, bool waits,
			     enum job_durability *ret_durability, struct refusal *r)
{
	enum job_durability durability = f->durability;

	/* Keys are decided by the store: in memory alone they would be worth less than they promise. */
	if (!f->has_durability)
		durability = b->store && (!waits || f->at_most_once || f->key_size > 0)
				     ? DURABILITY_FSYNC
				     : DURABILITY_MEMORY;
	if (!b->store && durability != DURABILITY_MEMORY)
		return refuse(r, 422, "durability_unavailable", "durability",
			      "durability \"%s\" needs a store, and this daemon keeps jobs in memory: use \"memory\"",
			      job_durability_name(durability));
	if (!b->store && f->at_most_once)
		return refuse(r, 422, "durability_unavailable", "at_most_once",
			      "at_most_once needs a store, and this daemon keeps jobs in memory");
	*ret_durability = durability;
	return 0;
}

int submit_durability(const struct broker *b, const char *name, bool waits,
		      enum job_durability *ret_durability, struct refusal *r)
{
	struct job_fields f = { .has_durability = name };
	int error = 0;

	if (name)
		error = job_durability_parse(name, &f.durability);
	if (error == 0)
		error = choose_durability(b, &f, waits, ret_durability, r);
	return error < 0 ? error : check_state(b, *ret_durability, r);
}

/* The engine's time that is this wall time now; never 0, which is none. */
static int64_t engine_time(const struct broker *b, int64_t wall)
{
	return wall == TIME_NEVER ? TIME_NEVER : MAX(wall - b->wall_offset, 1);
}

static void set_times(const struct broker *b, const struct job_fields *f, struct submission *s)
{
	if (f->delay)
		s->due = time_add(b->now, f->delay);
	else if (f->run_at_wall && engine_time(b, f->run_at_wall) > b->now)
		s->due = engine_time(b, f->run_at_wall);
	s->due_wall = f->run_at_wall != 0;
	s->deadline_wall = f->deadline_wall != 0;
	if (f->deadline)
		s->deadline = time_add(b->now, f->deadline);
	else if (f->deadline_wall)
		s->deadline = engine_time(b, f->deadline_wall);
}

/* ---- keys ---- */

static void digest_text(EVP_MD_CTX *hash, struct span text)
{
	/* Sizes keep one text's end from being another's beginning. */
	if (EVP_DigestUpdate(hash, &text.size, sizeof(text.size)) != 1 ||
	    EVP_DigestUpdate(hash, text.data, text.size) != 1)
		abort();
}

static void digest_tree(EVP_MD_CTX *hash, const json_t *tree)
{
	char *text = tree ? json_dumps(tree, JSON_COMPACT | JSON_SORT_KEYS) : NULL;

	digest_text(hash, text ? span_of(text) : SPAN("{}"));
	free(text);
}

static EVP_MD_CTX *digest_begin(void)
{
	EVP_MD_CTX *hash = EVP_MD_CTX_new();

	if (!hash || EVP_DigestInit_ex(hash, EVP_sha256(), NULL) != 1)
		abort();
	return hash;
}

static void digest_end(EVP_MD_CTX *hash, uint8_t digest[16])
{
	uint8_t whole[32];

	if (EVP_DigestFinal_ex(hash, whole, NULL) != 1)
		abort();
	memcpy(digest, whole, 16);
	EVP_MD_CTX_free(hash);
}

static void make_unique_key(const struct job_type *type, const struct job_fields *f,
			    const json_t *args, struct prepared *p)
{
	EVP_MD_CTX *hash = digest_begin();
	uint8_t digest[16];
	char *at = p->unique_key;

	if (f->unique & UNIQUE_TYPE)
		digest_text(hash, span_of(type->name));
	if (f->unique & UNIQUE_ARGS)
		digest_tree(hash, args);
	if (f->unique & UNIQUE_QUEUE)
		digest_text(hash, f->queue_size ? p->s.queue : SPAN("default"));
	digest_end(hash, digest);
	at += sprintf(at, "%u.", f->unique);
	for (size_t i = 0; i < sizeof(digest); i++)
		at += sprintf(at, "%02x", digest[i]);
	p->s.unique_key = span_of(p->unique_key);
}

static void set_keys(const struct job_type *type, const struct job_fields *f, const json_t *args,
		     struct prepared *p)
{
	if (f->limit_key_size == 0)
		p->s.limit_key =
			(struct span){ p->limit_key, type_limit_key(type, args, p->limit_key) };
	if (f->unique)
		make_unique_key(type, f, args, p);
	if (f->key_size == 0)
		return;
	EVP_MD_CTX *hash = digest_begin();

	digest_text(hash, span_of(type->name));
	digest_tree(hash, args);
	digest_text(hash, (struct span){ (const char *)f->digest, sizeof(f->digest) });
	digest_end(hash, p->s.payload);
	p->s.key = (struct span){ f->key, f->key_size };
}

/* ---- to the engine ---- */

/* There is no room for it now, or its key is another's. */
int submit_refuse(const struct broker *b, int error, struct refusal *r)
{
	switch (error) {
	case -ENOTUNIQ:
		return refuse(r, 409, "key_reused", "idempotency_key",
			      "this idempotency key was used for another job, with another payload");
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
		refuse(r, 429, "too_many_queues", "",
		       "there are as many queues, or limit keys, with jobs as there may be: use one of them, or try "
		       "again later");
		break;
	default:
		return refuse(r, 503, "no_memory", "", "the daemon is out of memory: try again later");
	}
	r->retry_after_ms = 1000;
	return -EINVAL;
}

int submit_job(struct broker *b, const struct job_type *type, const struct job_fields *fields,
	       struct span args, const json_t *tree, const struct submit_origin *origin,
	       struct submitted *ret_submitted, struct refusal *r)
{
	struct prepared p;
	int error = submit_prepare(b, type, fields, args, tree, origin, &p, r);

	if (error < 0)
		return error;
	error = engine_submit(b->engine, &p.s, &ret_submitted->job);
	ret_submitted->duplicate = error == 1;
	prepared_done(&p);
	if (error == -EAGAIN)
		return limits_refuse(b, &p.s, r);
	return error < 0 ? submit_refuse(b, error, r) : 0;
}

/* What a job object is made of: its type, its fields, the text of its arguments. */
struct parts {
	const struct job_type *type;
	struct job_fields fields; /* to be let go by fields_done() */
	struct span args;
};

static int read_parts(struct broker *b, const json_t *object, struct span text,
		      struct parts *ret_parts, struct refusal *r)
{
	const json_t *name = json_object_get(object, "type");
	const json_t *args = json_object_get(object, "args");

	if (!json_is_object(object))
		return refuse(r, 400, "bad_job", "",
			      "a job is a JSON object like {\"type\": \"noop\"}");
	if (!name)
		return refuse(r, 422, "missing_field", "type",
			      "type is missing: a job is an object like {\"type\": \"noop\"}");
	int error = fields_read(object, true, &ret_parts->fields, r);

	if (error < 0)
		return error;
	error = submit_type(b, span_of(json_string_value(name)), &ret_parts->type, r);
	ret_parts->args = args && json_object_size(args) > 0 ? json_member_text(text, SPAN("args"))
							     : (struct span){ 0 };
	if (error == 0 && args && json_object_size(args) > 0 && ret_parts->args.size == 0)
		error = refuse(r, 422, "bad_field", "args",
			       "the key \"args\" takes no escapes: write it plainly");
	if (error < 0)
		fields_done(&ret_parts->fields);
	return error;
}

int submit_object(struct broker *b, const json_t *object, struct span text,
		  const struct submit_origin *origin, struct submitted *ret_submitted,
		  struct refusal *r)
{
	struct parts parts;
	int error = read_parts(b, object, text, &parts, r);

	if (error < 0)
		return error;
	error = submit_job(b, parts.type, &parts.fields, parts.args,
			   json_object_get(object, "args"), origin, ret_submitted, r);
	fields_done(&parts.fields);
	return error;
}

int submit_check(struct broker *b, const json_t *object, struct span text, struct refusal *r)
{
	const struct submit_origin origin = { .exempt = true };
	struct prepared unused;
	struct parts parts;
	int error = read_parts(b, object, text, &parts, r);

	if (error < 0)
		return error;
	error = submit_prepare(b, parts.type, &parts.fields, parts.args,
			       json_object_get(object, "args"), &origin, &unused, r);
	if (error == 0)
		prepared_done(&unused);
	fields_done(&parts.fields);
	return error;
}
