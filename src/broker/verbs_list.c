/*
 * GET /v1/jobs: what the engine has and what the store alone has, merged by sequence, the newest first. A page that took
 * long to fill is short, with a cursor: the sequence below which the next one goes on.
 */
#include "job_filter.h"
#include "job_view.h"
#include "json_write.h"
#include <errno.h>
#include <stdlib.h>

#define PAGE_DEFAULT 50
#define PAGE_MAX 1000
#define PAGE_LOOKED_AT                                                                             \
	20000 /* jobs that one page passes over at most, so that a filter never holds the loop */

struct page {
	struct job_filter filter;
	uint64_t below; /* 0: from the newest */
	long limit;
	long looked_at;
	struct job *job; /* the engine's next one that matches; NULL: no more */
	bool cut;        /* it was looked at too many: what is below `job` is for the next page */
	const struct store_rows *rows;
	size_t row;
};

static int read_number(const struct verb_request *q, const char *name, uint64_t max,
		       uint64_t *number, struct refusal *r)
{
	char text[32], *end;

	if (!verb_param(q, name, text, sizeof(text)))
		return 0;
	errno = 0;
	unsigned long long value = strtoull(text, &end, 10);

	if (*end || end == text || errno || text[0] == '-' || value < 1 || value > max)
		return refuse(r, 400, "bad_parameter", name, "%s=%s: takes %s", name, text,
			      max == PAGE_MAX ? "a number from 1 to 1000"
					      : "the cursor of an earlier page");
	*number = value;
	return 0;
}

static int page_read(const struct verb_request *q, struct page *page, struct refusal *r)
{
	uint64_t limit = PAGE_DEFAULT;

	if (filter_read(q, &page->filter, r) < 0 || read_number(q, "limit", PAGE_MAX, &limit, r) < 0 ||
	    read_number(q, "cursor", UINT64_MAX, &page->below, r) < 0)
		return -EINVAL;
	page->limit = (long)limit;
	return 0;
}

/* On to a job of the engine that matches, from page->job on. */
static void find_job(struct broker *b, struct page *page)
{
	while (page->job && !page->cut && !filter_matches(b, &page->filter, page->job)) {
		page->job = engine_older(b->engine, page->job);
		page->cut = ++page->looked_at >= PAGE_LOOKED_AT;
	}
}

/* On to a row that the engine hasn't: what it has may be newer than the row. */
static const struct store_job *find_row(struct broker *b, struct page *page)
{
	struct job *job;

	for (; page->rows && page->row < page->rows->job_count; page->row++) {
		const struct store_job *row = &page->rows->jobs[page->row];

		if (engine_find(b->engine, &row->id, &job) != 0)
			return row;
	}
	return NULL;
}

/* The next job of the page into `out`: true; or false at its end, with the next page's cursor (0: none). */
static bool put_next(struct broker *b, struct page *page, struct buf *out, uint64_t *cursor)
{
	struct job_facts facts;

	find_job(b, page);
	const struct store_job *row = find_row(b, page);
	uint64_t job_at = page->job ? page->job->sequence : 0, row_at = row ? row->sequence : 0;
	/* Below these nobody has looked. */
	uint64_t job_end = page->cut && page->job ? job_at + 1 : 0;
	uint64_t row_end = page->rows && !row ? page->rows->next : 0;
	uint64_t next = MAX(page->cut ? 0 : job_at, row_at);

	if (next < MAX(job_end, row_end) || next == 0 || page->limit == 0) {
		if (page->limit == 0)
			*cursor = next || job_end || row_end ? page->below : 0;
		else
			*cursor = MAX(job_end, row_end);
		return false;
	}
	if (next == row_at) {
		facts_of_row(b, row, &facts);
		page->row++;
	} else {
		facts_of_job(b, page->job, &facts);
		page->job = engine_older(b->engine, page->job);
	}
	json_put_separator(out);
	job_view(&facts, VIEW_LINE, out);
	page->limit--;
	page->below = next;
	return true;
}

static void answer_page(struct verb_request *q, const struct store_rows *rows)
{
	struct broker *b = q->broker;
	struct page *page = q->more;
	struct buf body = BUF_INIT;
	uint64_t cursor = 0;

	broker_engine(b);
	page->rows = rows;
	page->job = page->below ? engine_below(b->engine, page->below) : engine_older(b->engine, NULL);
	json_put_literal(&body, "{\"jobs\":[");
	while (put_next(b, page, &body, &cursor))
		;
	json_put_literal(&body, "],\"cursor\":");
	if (cursor && buf_printf(&body, "\"%llu\"", (unsigned long long)cursor) < 0)
		abort();
	if (!cursor)
		json_put_literal(&body, "null");
	json_put_literal(&body, "}");
	verb_answer_buf(q, 200, TYPE_JSON, &body);
}

static void on_rows(void *arg, const struct store_rows *rows)
{
	struct verb_request *q = arg;
	struct refusal r;

	q->read = NULL;
	if (rows->error == 0) {
		answer_page(q, rows);
		return;
	}
	refuse(&r, 503, "store_failed", "", "the store can't be read: ask again later");
	verb_refuse(q, &r);
}

void verb_list(struct verb_request *q, struct span unused GA_UNUSED)
{
	struct page *page = calloc(1, sizeof(*page));
	struct store_filter filter;
	struct refusal r;

	if (!page)
		abort();
	q->more = page;
	q->more_free = free;
	if (page_read(q, page, &r) < 0) {
		verb_refuse(q, &r);
		return;
	}
	if (!q->broker->store || !filter_wants_finished(&page->filter)) {
		answer_page(q, NULL);
		return;
	}
	filter_for_store(&page->filter, page->below, (uint32_t)page->limit, &filter);
	if (store_list(q->broker->store, &filter, on_rows, q, &q->read) == 0)
		return;
	refuse(&r, 503, "no_memory", "", "the daemon is out of memory: ask again later");
	verb_refuse(q, &r);
}
