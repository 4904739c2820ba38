/* What a job's latest attempt logged: while it runs, and kept. */
#include "json_write.h"
#include "verbs.h"
#include <errno.h>
#include <stdlib.h>

/* The log of an attempt: `end` counts all bytes that it ever logged, of which `text` is the last. */
struct log {
	unsigned attempt;
	uint64_t end;
	struct span text;
};

static unsigned number_param(const struct verb_request *q, const char *name, uint64_t *ret_value)
{
	char text[32];

	*ret_value = 0;
	if (!verb_param(q, name, text, sizeof(text)))
		return 0;
	*ret_value = strtoull(text, NULL, 10);
	return 1;
}

/* For who follows: what came after the end that it knows, if it is of the same attempt. */
static void answer_follower(struct verb_request *q, const struct log *log, enum job_state state,
			    uint64_t after)
{
	struct span text = log->text;
	uint64_t from = log->end - text.size, attempt;
	struct buf body = BUF_INIT;

	number_param(q, "attempt", &attempt);
	if (attempt == log->attempt && after > from) {
		size_t known = (size_t)MIN(after - from, (uint64_t)text.size);

		text.data += known;
		text.size -= known;
	}
	json_put_literal(&body, "{\"state\":");
	json_put_string(&body, span_of(job_state_name(state)));
	json_put_literal(&body, ",\"attempt\":");
	json_put_integer(&body, log->attempt);
	json_put_literal(&body, ",\"end\":");
	json_put_integer(&body, (int64_t)log->end);
	json_put_literal(&body, ",\"log\":");
	json_put_string(&body, text);
	json_put_literal(&body, "}");
	verb_answer_buf(q, 200, TYPE_JSON, &body);
}

static void answer_log(struct verb_request *q, const struct log *log, enum job_state state)
{
	uint64_t after;

	if (number_param(q, "after", &after))
		answer_follower(q, log, state, after);
	else
		verb_answer_text(q, 200, "text/plain; charset=utf-8", log->text);
}

/* Of a job that the store alone has. */
struct stored {
	enum job_state state;
};

static void on_attempts(void *arg, const struct store_rows *rows)
{
	struct verb_request *q = arg;
	const struct stored *stored = q->more;
	struct log log = { 0 };
	struct refusal r;

	q->read = NULL;
	if (rows->error < 0 && rows->error != -ENOENT) {
		refuse(&r, 503, "store_failed", "", "the store can't be read: ask again later");
		verb_refuse(q, &r);
		return;
	}
	for (size_t i = 0; i < rows->attempt_count; i++) {
		const struct store_attempt *a = &rows->attempts[i];

		if (a->attempt >= log.attempt)
			log = (struct log){ a->attempt, a->log.size, a->log };
	}
	answer_log(q, &log, stored->state);
}

static void read_attempts(struct verb_request *q, uint64_t sequence, enum job_state state)
{
	struct stored *stored = calloc(1, sizeof(*stored));
	struct refusal r;

	q->more = stored;
	q->more_free = free;
	if (stored) {
		stored->state = state;
		if (store_read_attempts(q->broker->store, sequence, on_attempts, q, &q->read) == 0)
			return;
	}
	refuse(&r, 503, "no_memory", "", "the daemon is out of memory: ask again later");
	verb_refuse(q, &r);
}

static void on_found(struct verb_request *q, const struct found *found)
{
	const struct job_told *told;
	struct log log;

	if (!found->job) {
		read_attempts(q, found->row->sequence, found->row->state);
		return;
	}
	told = job_told(found->job);
	log = (struct log){ .attempt = found->job->attempts };
	if (told) {
		log.end = told->log_end;
		log.text = (struct span){ buf_data(&told->log), buf_size(&told->log) };
	}
	answer_log(q, &log, found->job->state);
}

void verb_logs(struct verb_request *q, struct span id)
{
	verb_find(q, id, on_found);
}
