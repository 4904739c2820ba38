/*
 * limited.h — the queues and limit keys of the daemon, as the verbs about them ask for and show them.
 */
#pragma once
#include "columns.h"
#include "session.h"

enum limited { LIMITED_KEY, LIMITED_QUEUE };

extern const struct column limit_columns[], queue_columns[];

/* Ask about the queue or key of this name, with `suffix` behind it, and show the answer, which tells of it. `body` may be
 * NULL. An exit status. */
int limit_ask(struct context *x, const char *method, enum limited kind, const char *name,
	      const char *suffix, const struct strbuf *body);
