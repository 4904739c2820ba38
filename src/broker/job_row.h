/*
 * job_row.h — a job of the engine as a row of the store, and a row as a job again.
 */
#pragma once
#include "broker.h"
#include "fields.h"
#include "store.h"

struct known_fields;

/* The job as it is now; its texts are borrowed from it. */
void job_row_fill(struct broker *b, const struct job *job, struct store_job *ret_row);
void job_row_note(const struct broker *b, const struct job *job, const struct job_note *note,
		  struct store_attempt *ret_row);
/* Put a stored job into the engine; larger arguments stay in the store. -EUNATCH: there is no such job type any more;
 * others as engine_restore(). */
int job_row_restore(struct broker *b, const struct store_job *row, struct job **ret_job) GA_MUST_CHECK;

/* What the text of a job's options says; valid until the next call. Repeated texts are read once. */
const struct job_fields *options_fields(struct broker *b, struct span text);
const struct job_fields *job_options(struct broker *b, const struct job *job); /* those of a job */
void options_forget(struct broker *b);                                         /* at the end */
