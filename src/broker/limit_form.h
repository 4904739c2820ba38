/*
 * limit_form.h — the limits of queues and keys as clients write them, and as they are kept.
 *
 * A limit is a few members of a JSON object: concurrency, rate, burst, max_pending; null takes one away. What was set or
 * paused is kept in the store as documents of kind "limit", named "queue/NAME" or "key/NAME"; the defaults come from the
 * configuration.
 */
#pragma once
#include "broker.h"
#include "engine_limits.h"
#include "refusal.h"

/* The configuration's defaults; at start and at each reload. */
void limits_configure(struct broker *b);
/* A document of theirs, at start. */
void limits_take(struct broker *b, struct span name, struct span body);
/* Keep a queue's or key's settings as they are now; -ENOMEM. */
int limits_keep(struct broker *b, enum limit_kind kind, struct span name) GA_MUST_CHECK;

/* Change what the members of an object name, and only that. */
int limit_read(const json_t *object, struct limit *io_limit, struct refusal *r) GA_MUST_CHECK;
/* The members of a limit that there are. */
void limit_put(struct buf *out, const struct limit *limit);
/* An object with all that is known of a queue or key. */
void limit_view_put(struct buf *out, enum limit_kind kind, const struct limit_view *v);

/* What limits hold back a READY job, as a sentence's end ("queue reports is paused"); false: none does. */
bool limits_why(struct broker *b, const struct job *job, char *out, size_t out_size);
/* Why a submission that the engine refused with -EAGAIN was; -EINVAL. */
int limits_refuse(struct broker *b, const struct submission *s, struct refusal *r);
