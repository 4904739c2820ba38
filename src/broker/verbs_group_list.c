/*
 * GET /v1/groups: those that the engine has and those that the store alone has, merged by sequence, the newest first;
 * groups that are members aren't shown. The cursor is the sequence below which the next page goes on.
 */
#include "engine_groups.h"
#include "group_row.h"
#include "group_view.h"
#include "json_write.h"
#include "verbs.h"
#include <errno.h>
#include <stdlib.h>

#define LIST_DEFAULT 50
#define LIST_MAX 1000

struct page {
	enum job_state state; /* 0: any */
	uint64_t below;       /* 0: from the newest */
	uint64_t limit;
	struct group *group; /* the engine's next one that matches; NULL: no more */
	const struct store_rows *rows;
	size_t row;
};

static int read_number(const struct verb_request *q, const char *name, uint64_t max,
		       uint64_t *ret_number, struct refusal *r)
{
	char text[32], *end;

	if (!verb_param(q, name, text, sizeof(text)))
		return 0;
	errno = 0;
	unsigned long long value = strtoull(text, &end, 10);

	if (*end || errno || text[0] < '0' || text[0] > '9' || value < 1 || value > max)
		return refuse(r, 400, "bad_parameter", name, "%s=%s: takes %s", name, text,
			      max == LIST_MAX ? "a number from 1 to 1000"
					      : "the cursor of an earlier page");
	*ret_number = value;
	return 0;
}

static int read_state(const struct verb_request *q, enum job_state *ret_state, struct refusal *r)
{
	char text[32];

	if (!verb_param(q, "state", text, sizeof(text)) || job_state_parse(text, ret_state) == 0)
		return 0;
	return refuse(r, 400, "bad_parameter", "state",
		      "state=%s: takes running, succeeded, failed, cancelled or expired", text);
}

/* On to a group of the engine that matches, from this one on. */
static struct group *find_group(struct broker *b, const struct page *page, struct group *g)
{
	while (g && ((page->below && g->sequence >= page->below) ||
		     (page->state && group_told_state(g) != page->state)))
		g = engine_group_older(b->engine, g);
	return g;
}

/* On to a row that the engine hasn't. */
static const struct store_group *find_row(struct broker *b, struct page *page)
{
	for (; page->rows && page->row < page->rows->group_count; page->row++) {
		const struct store_group *row = &page->rows->groups[page->row];

		if (!engine_group_at(b->engine, row->sequence))
			return row;
	}
	return NULL;
}

static void put_group(struct broker *b, const struct group *g, struct buf *out)
{
	json_put_separator(out);
	json_put_literal(out, "{");
	group_view_members(b, g, out);
	json_put_literal(out, "}");
}

static int put_row(struct broker *b, const struct store_group *row, struct buf *out)
{
	struct group *alone;
	int r = group_row_unpack(b, row, &alone);

	if (r < 0)
		return r;
	put_group(b, alone, out);
	group_unpacked_free(alone);
	return 0;
}

/* Up to `limit` of them, and where the next page goes on (0: there is none). */
static int put_page(struct broker *b, struct page *page, struct buf *out, uint64_t *ret_cursor)
{
	for (;;) {
		const struct store_group *row = find_row(b, page);
		uint64_t group_at = page->group ? page->group->sequence : 0;
		uint64_t row_at = row ? row->sequence : 0, next = MAX(group_at, row_at);
		uint64_t end = page->rows && !row ? page->rows->next : 0; /* nobody looked below */
		int r = 0;

		if (page->limit == 0 || next < MAX(end, (uint64_t)1)) {
			*ret_cursor = page->limit == 0 && next ? page->below : end;
			return 0;
		}
		if (next == row_at) {
			r = put_row(b, row, out);
			page->row++;
		} else {
			put_group(b, page->group, out);
			page->group = find_group(b, page, engine_group_older(b->engine, page->group));
		}
		if (r < 0)
			return r;
		page->limit--;
		page->below = next;
	}
}

static void refuse_failed(struct verb_request *q)
{
	struct refusal r;

	refuse(&r, 503, "store_failed", "", "the store can't be read: ask again later");
	verb_refuse(q, &r);
}

static void answer_page(struct verb_request *q, const struct store_rows *rows)
{
	struct broker *b = q->broker;
	struct page *page = q->more;
	struct buf body = BUF_INIT;
	uint64_t cursor = 0;

	page->rows = rows;
	page->group = find_group(b, page, engine_group_older(broker_engine(b), NULL));
	json_put_literal(&body, "{\"groups\":[");
	if (put_page(b, page, &body, &cursor) < 0) {
		buf_done(&body);
		refuse_failed(q);
		return;
	}
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

	q->read = NULL;
	if (rows->error == 0)
		answer_page(q, rows);
	else
		refuse_failed(q);
}

void verb_groups(struct verb_request *q, struct span unused GA_UNUSED)
{
	struct page *page = calloc(1, sizeof(*page));
	struct refusal r;

	if (!page)
		abort(); /* small and fixed */
	page->limit = LIST_DEFAULT;
	q->more = page;
	q->more_free = free;
	if (read_state(q, &page->state, &r) < 0 ||
	    read_number(q, "limit", LIST_MAX, &page->limit, &r) < 0 ||
	    read_number(q, "cursor", UINT64_MAX, &page->below, &r) < 0) {
		verb_refuse(q, &r);
		return;
	}
	const struct store_filter filter = { .states = page->state ? 1u << page->state : 0,
					     .below = page->below,
					     .limit = (uint32_t)page->limit };

	if (!q->broker->store || (page->state && !job_state_is_final(page->state)))
		answer_page(q, NULL);
	else if (store_list_groups(q->broker->store, &filter, on_rows, q, &q->read) < 0)
		refuse_failed(q);
}
