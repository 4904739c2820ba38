#include "child_jobs.h"
#include "dispatch.h"
#include "engine_workers.h"
#include "log.h"
#include "submit.h"
#include <errno.h>

/* The attempt that says so runs there; what comes late is of no use. */
static bool is_current(const struct broker *b, uint32_t slot, uint64_t token)
{
	const struct job *parent = engine_attempt(b->engine, token);

	return parent && parent->slot == slot;
}

static int check_fields(const struct job_fields *f, struct refusal *r)
{
	if ((f->has_durability && f->durability != DURABILITY_MEMORY) || f->at_most_once)
		return refuse(r, 422, "bad_field", "durability",
			      "a child belongs to an attempt: it is kept in memory");
	if (f->key_size > 0 || f->unique || f->detach)
		return refuse(
			r, 422, "bad_field", "",
			"a child takes no idempotency_key, unique or detach: it belongs to its attempt");
	return 0;
}

static int read_fields(struct span options, struct job_fields *ret_fields, struct refusal *r)
{
	json_t *object = NULL;
	int error;

	if (options.size == 0) {
		fields_defaults(ret_fields);
		return 0;
	}
	error = json_read_object(options, "the options", &object, r);
	if (error == 0)
		error = fields_read(object, false, ret_fields, r);
	json_decref(object);
	return error;
}

static int submit_child(struct broker *b, uint64_t token, const struct record_child *child,
			struct refusal *r)
{
	const struct submit_origin origin = { .client = attempt_client(token),
					      .tag = child->number,
					      .waits = true };
	const struct job_type *type;
	struct job_fields fields;
	struct prepared p;
	struct job *job;
	int error = read_fields(child->options, &fields, r);

	if (error != 0)
		return error;
	error = check_fields(&fields, r);
	if (error == 0)
		error = submit_type(b, child->type, &type, r);
	if (error == 0) {
		fields.has_durability = true;
		fields.durability = DURABILITY_MEMORY;
		error = submit_prepare(b, type, &fields, child->args, NULL, &origin, &p, r);
	}
	if (error == 0) {
		p.s.exempt = true;
		error = engine_submit(b->engine, &p.s, &job);
		prepared_done(&p);
		if (error == -ESTALE)
			error = refuse(r, 409, "cancelled", "",
				       "the attempt that it would belong to ends");
		else if (error < 0)
			error = submit_refuse(b, error, r);
	}
	fields_done(&fields);
	return error;
}

static void take(struct broker *b, uint32_t slot, const struct record *r)
{
	struct refusal refusal;
	struct record end = { .kind = RECORD_CHILD_END,
			      .ref = r->ref,
			      .child_end = { .number = r->child.number, .state = JOB_FAILED } };

	if (submit_child(b, r->ref, &r->child, &refusal) == 0)
		return;
	end.child_end.code = span_of(refusal.code);
	end.child_end.message = span_of(refusal.message);
	dispatch_tell(b, slot, &end);
}

void children_hear(struct broker *b, uint32_t slot, const struct record *r)
{
	broker_engine(b);
	if (!is_current(b, slot, r->ref)) {
		log_debug("worker %u speaks of children of attempt %llx, which isn't its own any more",
			  slot, (unsigned long long)r->ref);
		return;
	}
	switch (r->kind) {
	case RECORD_CHILD:
		take(b, slot, r);
		break;
	case RECORD_CHILD_CANCEL:
		engine_cancel_tag(b->engine, attempt_client(r->ref), r->child.number);
		break;
	case RECORD_PARK:
	case RECORD_UNPARK:
		engine_park(b->engine, slot, r->ref, r->kind == RECORD_PARK);
		break;
	default:
		break;
	}
}

static struct span text_of(const struct bytes *b)
{
	return b ? (struct span){ b->data, b->size } : (struct span){ 0 };
}

static void tell_parent(struct broker *b, const struct job *job)
{
	uint64_t token = job->client & ~ATTEMPT_CLIENT;
	const struct job *parent;
	struct record end = { .kind = RECORD_CHILD_END,
			      .ref = token,
			      .child_end = { .number = job->tag,
					     .state = (enum job_state)job->state,
					     .meta = text_of(job->meta),
					     .body = text_of(job->body) } };

	if (job->error) {
		end.child_end.code = span_of(job->error->code);
		end.child_end.message = span_of(job->error->message);
	}
	if (record_size(&end) > RECORD_MAX) {
		end.child_end.state = JOB_FAILED; /* as far as its parent is concerned */
		end.child_end.meta = end.child_end.body = (struct span){ 0 };
		end.child_end.code = SPAN("result_too_large");
		end.child_end.message = SPAN("the result doesn't fit into a record");
	}
	parent = engine_attempt(b->engine, token);
	if (parent)
		dispatch_tell(b, parent->slot, &end);
}

bool children_tell(struct broker *b, const struct job *job)
{
	if (!(job->client & ATTEMPT_CLIENT))
		return false;
	tell_parent(b, job);
	return true;
}
