/*
 * children.h — jobs that an attempt submitted: futures here, jobs in the broker.
 *
 * They belong to the attempt: what is left of them when its handler has ended is cancelled, and it ends after they have.
 * Loop-affine.
 */
#pragma once
#include "attempt.h"
#include "record.h"

struct runner;

/* One has ended. What is of no attempt here is passed over. */
void children_end(struct runner *r, uint64_t token, const struct record_child_end *end);
bool children_left(const struct ga_job *job); /* some have not ended */
void children_cancel(struct ga_job *job);     /* ask for the end of those */
void children_lost(struct ga_job *job);       /* the broker that had them is gone */
void children_free(struct children *children); /* when none is left, or nobody wants to know; NULL is a no-op */
