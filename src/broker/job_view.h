/*
 * job_view.h — a job as JSON text for people and programs.
 */
#pragma once
#include "broker.h"
#include "job_facts.h"
#include "refusal.h"

enum job_detail {
	VIEW_ACK,   /* what an acknowledgement says: id, state, durability */
	VIEW_LINE,  /* a row of a list: no arguments, no result */
	VIEW_WHOLE, /* everything; arguments marked secret are redacted */
};
void job_view(const struct job_facts *f, enum job_detail detail, struct buf *out);
/* The members alone, to go on with inside an open object. */
void job_view_members(const struct job_facts *f, enum job_detail detail, struct buf *out);
/* What a job gave, as members of an open object: no arguments, no terms. A body that takes more than `body_max` bytes is left
 * out: "body_bytes" says how many it has. */
void job_view_result(const struct job_facts *f, size_t body_max, struct buf *out);
/* "error": {...}, of a job or an attempt; a member of an open object. */
void error_view(struct span code, struct span message, int signal_number, struct buf *out);
/* RFC 9457. */
void problem_view(const struct refusal *r, struct buf *out);
/* One sentence: what the job waits for. `job` is NULL if the engine doesn't have it. */
void job_why(struct broker *b, const struct job_facts *f, const struct job *job, struct buf *out);
