/*
 * record.h — the records that travel between clients, broker and workers: coding and decoding, pure.
 *
 * Every record is a 16-byte little-endian header (magic, version, kind, flags, size of the whole record, ref), fields of
 * a fixed size, then counted runs of bytes; PROTOCOL.md is normative. `ref` is the attempt's token between broker and
 * workers, and the client's own tag between client and broker.
 *
 * Version rule: a change of layout or meaning of any field raises RECORD_VERSION; new kinds don't.
 * Decoding borrows: spans point into the input. Wrong bytes give -EPROTO, never a crash.
 */
#pragma once
#include "buf.h"
#include "job_terms.h"
#include "record_kind.h"
#include "span.h"
#include "uuid.h"
#include <stdbool.h>

#define RECORD_MAGIC 0xd7u
#define RECORD_VERSION 1u
#define RECORD_HEADER_SIZE 16u
#define RECORD_MAX ((1u << 20) + (64u << 10)) /* the largest record */
#define PACK_MAX (256u << 10)                 /* a message holds at most this, or a single record */

struct record_hello {
	uint32_t slot;
	uint64_t incarnation, build_id, table_hash;
	uint32_t capacity[CLASS_COUNT];
	struct span held; /* tokens, 8 bytes each: record_token() */
};
struct record_welcome {
	uint32_t epoch;
	struct span kept; /* tokens to keep; the others it held are to be cancelled and forgotten */
};
struct record_job { /* ref: token; JOB and JOB_INPUTS */
	struct uuid id;
	uint16_t type, attempt;
	uint32_t timeout_ms;
	struct span args;   /* JSON text; empty: none */
	struct span inputs; /* JOB_INPUTS only: JSON object, by whose result it is */
};
struct record_result { /* ref: token */
	enum job_outcome outcome;
	bool retryable;
	bool busy; /* the other side asks to be spared: its limit key slows down */
	uint32_t retry_after_ms, elapsed_us;
	struct span code, message, meta, body;
};
struct record_tokens { /* RESULT_ACK */
	struct span tokens;
};
struct record_slot_freed {
	enum job_class job_class;
};
#define PROGRESS_UNKNOWN UINT32_MAX
struct record_progress {   /* ref: token */
	uint32_t fraction; /* in millionths, or PROGRESS_UNKNOWN */
	uint64_t log_from; /* how many bytes of the attempt's log came before these */
	struct span text, log;
};
struct record_child { /* CHILD, CHILD_CANCEL (the number alone); ref: the parent's token */
	uint64_t number;
	struct span type, options, args; /* as of SUBMIT */
};
struct record_child_end { /* ref: the parent's token */
	uint64_t number;
	enum job_state state; /* a final one */
	struct span code, message, meta, body;
};
#define SUBMIT_WANT_ACCEPTED 1u
#define SUBMIT_WANT_RESULT 2u
struct record_submit { /* ref: tag */
	unsigned flags;
	struct span type;
	struct span options; /* a JSON object of job fields but type and args; empty: none */
	struct span args;
};
struct record_accepted { /* ref: tag */
	struct uuid id;
	enum job_durability durability;
};
struct record_refused { /* ref: tag */
	uint16_t status;
	uint32_t retry_after_ms;
	struct span code, field, message;
};
struct record_finished { /* ref: tag */
	struct uuid id;
	enum job_state state;
	uint16_t attempts;
	uint32_t elapsed_us;
	struct span code, message, meta, body;
};
struct record_request { /* ref: tag */
	struct span method, target, body;
};
struct record_response { /* ref: tag */
	uint16_t status;
	struct span content_type, body;
};

struct record {
	enum record_kind kind;
	uint64_t ref;
	union {
		struct record_hello hello;
		struct record_welcome welcome;
		struct record_job job;
		struct record_result result;
		struct record_tokens tokens;
		struct record_slot_freed slot_freed;
		struct record_progress progress;
		struct record_child child;
		struct record_child_end child_end;
		struct record_submit submit;
		struct record_accepted accepted;
		struct record_refused refused;
		struct record_finished finished;
		struct record_request request;
		struct record_response response;
	};
};

/* Append one record. -ENOMEM, -EMSGSIZE past RECORD_MAX, -EINVAL: unknown kind; then nothing was appended. */
int record_put(struct buf *out, const struct record *r) GA_MUST_CHECK;
/* Bytes that record_put() will append. */
size_t record_size(const struct record *r);
/* Take the first record off `input`. 1: got it; 0: incomplete, more bytes are needed; -EPROTO: not a record (`ret_why` says
 * what was wrong and what would be right, a literal; *ret_record may be half filled). */
int record_next(struct span *input, struct record *ret_record, const char **ret_why) GA_MUST_CHECK;
/* How many bytes of these whole records, as record_put() wrote them, make the next message: at most PACK_MAX, or the first
 * record alone. */
size_t record_pack(struct span records);
uint64_t record_token(struct span tokens, size_t index);
int record_put_token(struct buf *tokens, uint64_t token) GA_MUST_CHECK; /* to build such a span */
