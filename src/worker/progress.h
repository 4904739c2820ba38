/*
 * progress.h — what an attempt tells of itself while it runs: how far it is, and lines for its log.
 *
 * Both leave together in PROGRESS records, one each PROGRESS_INTERVAL at most, and what is left before the result. The
 * latest LOG_KEPT bytes of the log stay here until the result is acknowledged, so that a new broker is told again.
 * A `work` handler's thread says things at any time: they are under a lock. All else is the loop's thread's.
 */
#pragma once
#include "compiler.h"

#define PROGRESS_INTERVAL INT64_C(250000000) /* ns */
#define LOG_KEPT (16u << 10)
#define LOG_LINE_MAX 4096u     /* longer ones are cut */
#define PROGRESS_TEXT_MAX 256u /* with its NUL */

struct ga_job;
struct progress;

/* Send what the broker hasn't been told. */
void progress_flush(struct ga_job *job);
/* Another broker: tell all of it. */
void progress_repeat(struct ga_job *job);
/* The attempt ends; its handler has. NULL is a no-op. */
void progress_free(struct progress *p);
size_t progress_size(const struct progress *p);
