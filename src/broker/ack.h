/*
 * ack.h — the acknowledgement of a submission: what is kept of it until it may be given, and what became of it then.
 */
#pragma once
#include "keep.h"
#include "submit.h"

struct ack {
	struct uuid id;
	uint64_t sequence; /* of the job whose first save decides */
	uint8_t state;     /* enum job_state; 0: unknown, the job is in the store alone */
	bool durable;      /* it is held until the commit */
	bool duplicate;
};
void ack_of(const struct submitted *s, struct ack *ret_ack);
/* The commit is over: 0, with `a` as it is now (perhaps of another job, which has its key); -EINVAL: refused after all. */
int ack_settle(struct broker *b, struct ack *a, struct refusal *r) GA_MUST_CHECK;
void ack_view(const struct ack *a, struct buf *out);
void ack_view_members(const struct ack *a, struct buf *out);
/* How its job is kept: an id says that. */
enum job_durability ack_durability(const struct ack *a);
