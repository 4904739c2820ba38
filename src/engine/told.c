/* What an attempt tells of itself while it runs: how far it is, and lines for its log. */
#include "engine_parts.h"
#include <errno.h>
#include <stdlib.h>

static struct job_told *told_of(struct job *job)
{
	struct job_told *t;

	if (extra_ensure(job) < 0)
		return NULL;
	if (!job->extra->told)
		job->extra->told = calloc(1, sizeof(*t));
	t = job->extra->told;
	if (t && t->attempt != job->attempts) {
		buf_clear(&t->log);
		t->attempt = job->attempts;
		t->log_end = 0;
	}
	return t;
}

/* What isn't here yet of the lines. */
static int take_log(struct job_told *t, uint64_t from, struct span log)
{
	uint64_t known = t->log_end > from ? t->log_end - from : 0;

	if (known >= log.size)
		return 0;
	if (buf_append(&t->log, log.data + known, log.size - known) < 0)
		return -ENOMEM;
	t->log_end = from + log.size;
	while (buf_size(&t->log) > TOLD_LOG_MAX) {
		const char *end = memchr(buf_data(&t->log), '\n', buf_size(&t->log));

		buf_consume(&t->log, end ? (size_t)(end - buf_data(&t->log)) + 1 : buf_size(&t->log));
	}
	return 0;
}

int engine_progress(struct engine *e, uint32_t slot, const struct attempt_progress *p)
{
	struct job *job = attempt_find(e, slot, p->token);
	struct job_told *t;
	size_t size = MIN(p->text.size, sizeof(t->text) - 1);

	if (!job)
		return -ESTALE;
	t = told_of(job);
	if (!t)
		return -ENOMEM;
	t->fraction = p->fraction;
	if (size > 0)
		memcpy(t->text, p->text.data, size);
	t->text[size] = '\0';
	return take_log(t, p->log_from, p->log);
}

const struct job_told *job_told(const struct job *job)
{
	const struct job_told *t = job->extra ? job->extra->told : NULL;

	return t && t->attempt == job->attempts ? t : NULL;
}

struct bytes *told_log(const struct job *job)
{
	const struct job_told *t = job_told(job);

	return t && buf_size(&t->log) > 0 ? bytes_new(buf_data(&t->log), buf_size(&t->log)) : NULL;
}

void told_free(struct job_told *t)
{
	if (t)
		buf_done(&t->log);
	free(t);
}

uint64_t told_weight(const struct job *job)
{
	const struct job_told *t = job->extra ? job->extra->told : NULL;

	return t ? sizeof(*t) + t->log.size : 0;
}
