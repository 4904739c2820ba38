#include "ack.h"
#include "engine_durable.h"
#include "json_write.h"
#include <errno.h>

/* Bits 10 and 11 of an id's rand_a (ids are made in engine.c). */
static enum job_durability durability_of(const struct uuid *id)
{
	return (enum job_durability)(id->b[6] >> 2 & 3);
}

void ack_of(const struct submitted *s, struct ack *ret_ack)
{
	const struct job *job = s->job;

	*ret_ack = (struct ack){ .id = job->id,
				 .sequence = job->sequence,
				 .state = job->state,
				 .durable = job->profile->durability != DURABILITY_MEMORY,
				 .duplicate = s->duplicate };
}

int ack_settle(struct broker *b, struct ack *a, struct refusal *r)
{
	const struct store_refusal *refusal = a->durable ? keep_refusal(b, a->sequence) : NULL;
	struct job *job;

	if (refusal && refusal->why == STORE_NO_SPACE) {
		refuse(r, 503, "store_full", "",
		       "the disk is full: durable jobs are refused until there is room (store.reserve_bytes), "
		       "those of durability \"memory\" are not");
		r->retry_after_ms = 10000;
		return -EINVAL;
	}
	if (refusal && refusal->why == STORE_GONE)
		return refuse(r, 410, "gone", "id", "this job is no longer kept");
	if (refusal && !refusal->same_payload)
		return submit_refuse(b, -ENOTUNIQ, r);
	if (refusal) {
		a->id = refusal->existing;
		a->duplicate = true;
		a->sequence = a->state = 0;
	}
	if (a->durable && engine_find(b->engine, &a->id, &job) == 0)
		a->state = job->state;
	return 0;
}

enum job_durability ack_durability(const struct ack *a)
{
	return durability_of(&a->id);
}

void ack_view_members(const struct ack *a, struct buf *out)
{
	char id[UUID_TEXT_SIZE];

	uuid_format(&a->id, id);
	json_put_key(out, "id");
	json_put_string(out, span_of(id));
	if (a->state) {
		json_put_key(out, "state");
		json_put_string(out, span_of(job_state_name(a->state)));
	}
	json_put_key(out, "durability");
	json_put_string(out, span_of(job_durability_name(durability_of(&a->id))));
	if (a->duplicate) {
		json_put_key(out, "duplicate");
		json_put_boolean(out, true);
	}
}

void ack_view(const struct ack *a, struct buf *out)
{
	json_put_literal(out, "{");
	ack_view_members(a, out);
	json_put_literal(out, "}");
}
