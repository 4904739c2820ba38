#include "record.h"
#include <endian.h>
#include <errno.h>

/* A row of the table below: how a kind is laid out behind the header. */
struct layout {
	uint8_t flags; /* the header's flags that mean something for this kind */
	uint8_t runs;  /* counted runs of bytes behind the fixed fields */
	uint16_t fixed; /* size of the fixed fields, the runs' counts (4 bytes each, last) included */
	uint16_t run[4]; /* where in struct record each run's span is */
	uint8_t (*put)(char *p, const struct record *r); /* returns the header's flags */
	const char *(*get)(struct record *r, const char *p, uint8_t flags); /* NULL, or what is wrong */
};

#define FLAG_RETRYABLE 1u
#define FLAG_BUSY 2u
#define TOKEN_SIZE sizeof(uint64_t)

static const struct layout *layout_of(unsigned kind);
static const char *check_header(const char *p, size_t available);
static uint32_t get_size(const char *p);
static const char *get_runs(const struct layout *layout, struct record *r, const char *p, size_t size);

static inline char *put16(char *p, uint16_t value)
{
	value = htole16(value);
	memcpy(p, &value, sizeof(value));
	return p + sizeof(value);
}

static inline char *put32(char *p, uint32_t value)
{
	value = htole32(value);
	memcpy(p, &value, sizeof(value));
	return p + sizeof(value);
}

static inline char *put64(char *p, uint64_t value)
{
	value = htole64(value);
	memcpy(p, &value, sizeof(value));
	return p + sizeof(value);
}

static inline char *put_uuid(char *p, const struct uuid *id)
{
	memcpy(p, id->b, sizeof(id->b));
	return p + sizeof(id->b);
}

static inline uint16_t get16(const char *p)
{
	uint16_t value;

	memcpy(&value, p, sizeof(value));
	return le16toh(value);
}

static inline uint32_t get32(const char *p)
{
	uint32_t value;

	memcpy(&value, p, sizeof(value));
	return le32toh(value);
}

static inline uint64_t get64(const char *p)
{
	uint64_t value;

	memcpy(&value, p, sizeof(value));
	return le64toh(value);
}

static inline void get_uuid(struct uuid *ret_id, const char *p)
{
	memcpy(ret_id->b, p, sizeof(ret_id->b));
}

/* The kinds: the offsets written here are PROTOCOL.md's, less the header. */

static uint8_t put_hello(char *p, const struct record *r)
{
	p = put32(p, r->hello.slot);
	p = put64(p, r->hello.incarnation);
	p = put64(p, r->hello.build_id);
	p = put64(p, r->hello.table_hash);
	for (int i = 0; i < CLASS_COUNT; i++)
		p = put32(p, r->hello.capacity[i]);
	return 0;
}

static const char *get_hello(struct record *r, const char *p, uint8_t flags GA_UNUSED)
{
	r->hello.slot = get32(p);
	r->hello.incarnation = get64(p + 4);
	r->hello.build_id = get64(p + 12);
	r->hello.table_hash = get64(p + 20);
	for (int i = 0; i < CLASS_COUNT; i++)
		r->hello.capacity[i] = get32(p + 28 + 4 * i);
	return r->hello.held.size % TOKEN_SIZE ? "held tokens: not a multiple of 8 bytes" : NULL;
}

static uint8_t put_welcome(char *p, const struct record *r)
{
	put32(p, r->welcome.epoch);
	return 0;
}

static const char *get_welcome(struct record *r, const char *p, uint8_t flags GA_UNUSED)
{
	r->welcome.epoch = get32(p);
	return r->welcome.kept.size % TOKEN_SIZE ? "kept tokens: not a multiple of 8 bytes" : NULL;
}

static uint8_t put_job(char *p, const struct record *r)
{
	p = put_uuid(p, &r->job.id);
	p = put16(p, r->job.type);
	p = put16(p, r->job.attempt);
	put32(p, r->job.timeout_ms);
	return 0;
}

static const char *get_job(struct record *r, const char *p, uint8_t flags GA_UNUSED)
{
	get_uuid(&r->job.id, p);
	r->job.type = get16(p + 16);
	r->job.attempt = get16(p + 18);
	r->job.timeout_ms = get32(p + 20);
	return NULL;
}

static uint8_t put_result(char *p, const struct record *r)
{
	p = put32(p, r->result.outcome);
	p = put32(p, r->result.retry_after_ms);
	put32(p, r->result.elapsed_us);
	return (uint8_t)((r->result.retryable ? FLAG_RETRYABLE : 0) | (r->result.busy ? FLAG_BUSY : 0));
}

static const char *get_result(struct record *r, const char *p, uint8_t flags)
{
	uint32_t outcome = get32(p);

	if (outcome < OUTCOME_SUCCEEDED || outcome > OUTCOME_RETURNED)
		return "outcome: takes 1 to 6";
	r->result.outcome = (enum job_outcome)outcome;
	r->result.retryable = flags & FLAG_RETRYABLE;
	r->result.busy = flags & FLAG_BUSY;
	r->result.retry_after_ms = get32(p + 4);
	r->result.elapsed_us = get32(p + 8);
	return NULL;
}

static const char *get_tokens(struct record *r, const char *p GA_UNUSED, uint8_t flags GA_UNUSED)
{
	return r->tokens.tokens.size % TOKEN_SIZE ? "tokens: not a multiple of 8 bytes" : NULL;
}

static uint8_t put_slot_freed(char *p, const struct record *r)
{
	put32(p, r->slot_freed.job_class);
	return 0;
}

static const char *get_slot_freed(struct record *r, const char *p, uint8_t flags GA_UNUSED)
{
	uint32_t job_class = get32(p);

	if (job_class >= CLASS_COUNT)
		return "job class: takes 0 to 3";
	r->slot_freed.job_class = (enum job_class)job_class;
	return NULL;
}

static uint8_t put_progress(char *p, const struct record *r)
{
	p = put32(p, r->progress.fraction);
	put64(p, r->progress.log_from);
	return 0;
}

static const char *get_progress(struct record *r, const char *p, uint8_t flags GA_UNUSED)
{
	r->progress.fraction = get32(p);
	r->progress.log_from = get64(p + 4);
	if (r->progress.fraction > 1000000 && r->progress.fraction != PROGRESS_UNKNOWN)
		return "fraction: takes 0 to 1000000, or 4294967295";
	return NULL;
}

static uint8_t put_child(char *p, const struct record *r)
{
	put64(p, r->child.number);
	return 0;
}

static const char *get_child(struct record *r, const char *p, uint8_t flags GA_UNUSED)
{
	r->child.number = get64(p);
	return NULL;
}

static uint8_t put_child_end(char *p, const struct record *r)
{
	put32(put64(p, r->child_end.number), r->child_end.state);
	return 0;
}

static const char *get_child_end(struct record *r, const char *p, uint8_t flags GA_UNUSED)
{
	uint32_t state = get32(p + 8);

	if (state >= JOB_STATE_LIMIT || !job_state_is_final((enum job_state)state))
		return "state: takes a final one: 4, 5, 6 or 9";
	r->child_end.number = get64(p);
	r->child_end.state = (enum job_state)state;
	return NULL;
}

static uint8_t put_submit(char *p GA_UNUSED, const struct record *r)
{
	return (uint8_t)r->submit.flags;
}

static const char *get_submit(struct record *r, const char *p GA_UNUSED, uint8_t flags)
{
	r->submit.flags = flags;
	return NULL;
}

static uint8_t put_accepted(char *p, const struct record *r)
{
	p = put_uuid(p, &r->accepted.id);
	put32(p, r->accepted.durability);
	return 0;
}

static const char *get_accepted(struct record *r, const char *p, uint8_t flags GA_UNUSED)
{
	uint32_t durability = get32(p + 16);

	if (durability > DURABILITY_FSYNC)
		return "durability: takes 0 to 2";
	get_uuid(&r->accepted.id, p);
	r->accepted.durability = (enum job_durability)durability;
	return NULL;
}

static uint8_t put_refused(char *p, const struct record *r)
{
	p = put32(p, r->refused.status);
	put32(p, r->refused.retry_after_ms);
	return 0;
}

static const char *get_refused(struct record *r, const char *p, uint8_t flags GA_UNUSED)
{
	uint32_t status = get32(p);

	if (status > UINT16_MAX)
		return "status: takes 0 to 65535";
	r->refused.status = (uint16_t)status;
	r->refused.retry_after_ms = get32(p + 4);
	return NULL;
}

static uint8_t put_finished(char *p, const struct record *r)
{
	p = put_uuid(p, &r->finished.id);
	p = put16(p, (uint16_t)r->finished.state);
	p = put16(p, r->finished.attempts);
	put32(p, r->finished.elapsed_us);
	return 0;
}

static const char *get_finished(struct record *r, const char *p, uint8_t flags GA_UNUSED)
{
	uint16_t state = get16(p + 16);

	if (state < JOB_READY || state >= JOB_STATE_LIMIT)
		return "state: takes 1 to 10";
	get_uuid(&r->finished.id, p);
	r->finished.state = (enum job_state)state;
	r->finished.attempts = get16(p + 18);
	r->finished.elapsed_us = get32(p + 20);
	return NULL;
}

static uint8_t put_response(char *p, const struct record *r)
{
	put32(p, r->response.status);
	return 0;
}

static const char *get_response(struct record *r, const char *p, uint8_t flags GA_UNUSED)
{
	uint32_t status = get32(p);

	if (status > UINT16_MAX)
		return "status: takes 0 to 65535";
	r->response.status = (uint16_t)status;
	return NULL;
}

static uint8_t put_nothing(char *p GA_UNUSED, const struct record *r GA_UNUSED)
{
	return 0;
}

static const char *get_nothing(struct record *r GA_UNUSED, const char *p GA_UNUSED,
			       uint8_t flags GA_UNUSED)
{
	return NULL;
}

#define RUN(path) offsetof(struct record, path)
#define LAYOUT(bare, count, ...)                                                                   \
	.fixed = (bare) + 4 * (count), .runs = (count), .run = { __VA_ARGS__ }

/* clang-format off: one row a kind */
static const struct layout layouts[RECORD_RESPONSE + 1] = {
	[RECORD_HELLO] = { LAYOUT(44, 1, RUN(hello.held)), .put = put_hello, .get = get_hello },
	[RECORD_WELCOME] = { LAYOUT(4, 1, RUN(welcome.kept)), .put = put_welcome, .get = get_welcome },
	[RECORD_JOB] = { LAYOUT(24, 1, RUN(job.args)), .put = put_job, .get = get_job },
	[RECORD_JOB_INPUTS] = { LAYOUT(24, 2, RUN(job.args), RUN(job.inputs)), .put = put_job,
				.get = get_job },
	[RECORD_RESULT] = { LAYOUT(12, 4, RUN(result.code), RUN(result.message), RUN(result.meta),
				   RUN(result.body)),
			    .flags = FLAG_RETRYABLE | FLAG_BUSY, .put = put_result, .get = get_result },
	[RECORD_RESULT_ACK] = { LAYOUT(0, 1, RUN(tokens.tokens)), .put = put_nothing, .get = get_tokens },
	[RECORD_CANCEL] = { LAYOUT(0, 0), .put = put_nothing, .get = get_nothing },
	[RECORD_DRAIN] = { LAYOUT(0, 0), .put = put_nothing, .get = get_nothing },
	[RECORD_SLOT_FREED] = { LAYOUT(4, 0), .put = put_slot_freed, .get = get_slot_freed },
	[RECORD_PROGRESS] = { LAYOUT(12, 2, RUN(progress.text), RUN(progress.log)),
			      .put = put_progress, .get = get_progress },
	[RECORD_CHILD] = { LAYOUT(8, 3, RUN(child.type), RUN(child.options), RUN(child.args)),
			   .put = put_child, .get = get_child },
	[RECORD_CHILD_END] = { LAYOUT(12, 4, RUN(child_end.code), RUN(child_end.message),
				      RUN(child_end.meta), RUN(child_end.body)),
			       .put = put_child_end, .get = get_child_end },
	[RECORD_CHILD_CANCEL] = { LAYOUT(8, 0), .put = put_child, .get = get_child },
	[RECORD_PARK] = { LAYOUT(0, 0), .put = put_nothing, .get = get_nothing },
	[RECORD_UNPARK] = { LAYOUT(0, 0), .put = put_nothing, .get = get_nothing },
	[RECORD_SUBMIT] = { LAYOUT(0, 3, RUN(submit.type), RUN(submit.options), RUN(submit.args)),
			    .flags = SUBMIT_WANT_ACCEPTED | SUBMIT_WANT_RESULT, .put = put_submit,
			    .get = get_submit },
	[RECORD_ACCEPTED] = { LAYOUT(20, 0), .put = put_accepted, .get = get_accepted },
	[RECORD_REFUSED] = { LAYOUT(8, 3, RUN(refused.code), RUN(refused.field), RUN(refused.message)),
			     .put = put_refused, .get = get_refused },
	[RECORD_FINISHED] = { LAYOUT(24, 4, RUN(finished.code), RUN(finished.message),
				     RUN(finished.meta), RUN(finished.body)),
			      .put = put_finished, .get = get_finished },
	[RECORD_ABORT] = { LAYOUT(0, 0), .put = put_nothing, .get = get_nothing },
	[RECORD_REQUEST] = { LAYOUT(0, 3, RUN(request.method), RUN(request.target), RUN(request.body)),
			     .put = put_nothing, .get = get_nothing },
	[RECORD_RESPONSE] = { LAYOUT(4, 2, RUN(response.content_type), RUN(response.body)),
			      .put = put_response, .get = get_response },
};
/* clang-format on */

/* A run of an empty table entry is never read: layout->runs bounds the index. */
static inline struct span *run_of(struct record *r, const struct layout *layout, unsigned i)
{
	return (struct span *)(void *)((char *)r + layout->run[i]);
}

static inline const struct span *run_in(const struct record *r, const struct layout *layout, unsigned i)
{
	return (const struct span *)(const void *)((const char *)r + layout->run[i]);
}

size_t record_size(const struct record *r)
{
	const struct layout *layout = layout_of(r->kind);
	size_t size;

	if (!layout)
		return 0;
	size = RECORD_HEADER_SIZE + layout->fixed;
	for (unsigned i = 0; i < layout->runs; i++)
		size += run_in(r, layout, i)->size;
	return size;
}

int record_put(struct buf *out, const struct record *r)
{
	const struct layout *layout = layout_of(r->kind);
	size_t size = record_size(r);
	char *p, *counts, *bytes;

	if (!layout)
		return -EINVAL;
	if (size > RECORD_MAX)
		return -EMSGSIZE;
	p = buf_reserve(out, size);
	if (!p)
		return -ENOMEM;
	p[0] = (char)RECORD_MAGIC;
	p[1] = RECORD_VERSION;
	p[2] = (char)r->kind;
	p[3] = (char)(layout->put(p + RECORD_HEADER_SIZE, r) & layout->flags);
	put64(put32(p + 4, (uint32_t)size), r->ref);
	bytes = p + RECORD_HEADER_SIZE + layout->fixed;
	counts = bytes - 4 * layout->runs;
	for (unsigned i = 0; i < layout->runs; i++) {
		const struct span *run = run_in(r, layout, i);

		counts = put32(counts, (uint32_t)run->size);
		if (run->size > 0)
			memcpy(bytes, run->data, run->size);
		bytes += run->size;
	}
	buf_grew(out, size);
	return 0;
}

int record_next(struct span *input, struct record *ret_record, const char **ret_why)
{
	const char *p = input->data, *why = check_header(p, input->size);
	const struct layout *layout;
	size_t size;

	if (why) {
		*ret_why = why;
		return -EPROTO;
	}
	if (input->size < RECORD_HEADER_SIZE || input->size < get_size(p))
		return 0;
	size = get_size(p);
	layout = layout_of((uint8_t)p[2]);
	*ret_record = (struct record){ .kind = (enum record_kind)p[2], .ref = get64(p + 8) };
	why = get_runs(layout, ret_record, p, size);
	if (!why)
		why = layout->get(ret_record, p + RECORD_HEADER_SIZE, (uint8_t)p[3]);
	if (why) {
		*ret_why = why;
		return -EPROTO;
	}
	input->data += size;
	input->size -= size;
	return 1;
}

size_t record_pack(struct span records)
{
	size_t size = 0;

	while (size < records.size) {
		size_t next = size + get_size(records.data + size);

		if (size > 0 && next > PACK_MAX)
			break;
		size = next;
	}
	return size;
}

uint64_t record_token(struct span tokens, size_t index)
{
	return get64(tokens.data + index * TOKEN_SIZE);
}

int record_put_token(struct buf *tokens, uint64_t token)
{
	char bytes[TOKEN_SIZE];

	put64(bytes, token);
	return buf_append(tokens, bytes, sizeof(bytes));
}

static const struct layout *layout_of(unsigned kind)
{
	return kind < ARRAY_SIZE(layouts) && layouts[kind].put ? &layouts[kind] : NULL;
}

static uint32_t get_size(const char *p)
{
	return get32(p + 4);
}

/* As much of the header as is there: wrong bytes are refused without waiting for those behind them. */
static const char *check_header(const char *p, size_t available)
{
	const struct layout *layout;

	if (available > 0 && (uint8_t)p[0] != RECORD_MAGIC)
		return "magic: a record starts with the byte 0xd7";
	if (available > 1 && (uint8_t)p[1] != RECORD_VERSION)
		return "version: this side speaks version 1";
	if (available < 3)
		return NULL;
	layout = layout_of((uint8_t)p[2]);
	if (!layout)
		return "unknown kind";
	if (available > 3 && ((uint8_t)p[3] & ~layout->flags))
		return "flags: a bit is set that means nothing for this kind";
	if (available < 8)
		return NULL;
	if (get_size(p) > RECORD_MAX)
		return "size: a record has at most 1114112 bytes";
	if (get_size(p) < RECORD_HEADER_SIZE + layout->fixed)
		return "size: less than this kind's fixed part";
	return NULL;
}

/* The counts must add up to the record's end exactly; 64 bits hold the sum of four of them. */
static const char *get_runs(const struct layout *layout, struct record *r, const char *p, size_t size)
{
	const char *bytes = p + RECORD_HEADER_SIZE + layout->fixed;
	const char *counts = bytes - 4 * layout->runs;
	uint64_t left = size - RECORD_HEADER_SIZE - layout->fixed;

	for (unsigned i = 0; i < layout->runs; i++) {
		uint32_t count = get32(counts + 4 * i);

		if (count > left)
			return "runs: they are longer than the record";
		*run_of(r, layout, i) = (struct span){ bytes, count };
		bytes += count;
		left -= count;
	}
	return left ? "runs: they are shorter than the record" : NULL;
}
