/* test_record.c — the record codec: round trips, and every kind of wrong bytes. */
#include "random.h"
#include "record.h"
#include "tap_main.h"
#include <errno.h>
#include <stdlib.h>

static const enum record_kind kinds[] = {
	RECORD_HELLO,      RECORD_WELCOME, RECORD_JOB,       RECORD_RESULT,
	RECORD_RESULT_ACK, RECORD_CANCEL,  RECORD_DRAIN,     RECORD_SLOT_FREED,
	RECORD_PROGRESS,   RECORD_SUBMIT,  RECORD_ACCEPTED,  RECORD_REFUSED,
	RECORD_FINISHED,   RECORD_ABORT,   RECORD_REQUEST,   RECORD_RESPONSE,
	RECORD_JOB_INPUTS, RECORD_CHILD,   RECORD_CHILD_END, RECORD_CHILD_CANCEL,
	RECORD_PARK,       RECORD_UNPARK,
};

static char noise[4096];
static struct random source;

static struct span any_run(size_t unit)
{
	size_t size = random_below(&source, 4) ? random_below(&source, 120) : 0;

	return (struct span){ noise + random_below(&source, 2048), size * unit };
}

static struct uuid any_uuid(void)
{
	struct uuid id;

	for (size_t i = 0; i < sizeof(id.b); i++)
		id.b[i] = (uint8_t)random_next(&source);
	return id;
}

static void fill_worker_side(struct record *r)
{
	switch (r->kind) {
	case RECORD_HELLO:
		r->hello.slot = (uint32_t)random_next(&source);
		r->hello.incarnation = random_next(&source);
		r->hello.build_id = random_next(&source);
		r->hello.table_hash = random_next(&source);
		for (int i = 0; i < CLASS_COUNT; i++)
			r->hello.capacity[i] = (uint32_t)random_next(&source);
		r->hello.held = any_run(8);
		break;
	case RECORD_WELCOME:
		r->welcome.epoch = (uint32_t)random_next(&source);
		r->welcome.kept = any_run(8);
		break;
	case RECORD_JOB_INPUTS:
		r->job.inputs = any_run(1);
		/* fall through */
	case RECORD_JOB:
		r->job.id = any_uuid();
		r->job.type = (uint16_t)random_next(&source);
		r->job.attempt = (uint16_t)random_next(&source);
		r->job.timeout_ms = (uint32_t)random_next(&source);
		r->job.args = any_run(1);
		break;
	case RECORD_RESULT:
		r->result.outcome = (enum job_outcome)(1 + random_below(&source, 6));
		r->result.retryable = random_below(&source, 2);
		r->result.busy = random_below(&source, 2);
		r->result.retry_after_ms = (uint32_t)random_next(&source);
		r->result.elapsed_us = (uint32_t)random_next(&source);
		r->result.code = any_run(1);
		r->result.message = any_run(1);
		r->result.meta = any_run(1);
		r->result.body = any_run(1);
		break;
	case RECORD_RESULT_ACK:
		r->tokens.tokens = any_run(8);
		break;
	case RECORD_SLOT_FREED:
		r->slot_freed.job_class = (enum job_class)random_below(&source, CLASS_COUNT);
		break;
	case RECORD_CHILD:
		r->child.type = any_run(1);
		r->child.options = any_run(1);
		r->child.args = any_run(1);
		/* fall through */
	case RECORD_CHILD_CANCEL:
		r->child.number = random_next(&source);
		break;
	case RECORD_CHILD_END:
		r->child_end.number = random_next(&source);
		r->child_end.state = (enum job_state)(4 + random_below(&source, 3));
		r->child_end.code = any_run(1);
		r->child_end.message = any_run(1);
		r->child_end.meta = any_run(1);
		r->child_end.body = any_run(1);
		break;
	case RECORD_PROGRESS:
		r->progress.fraction = (uint32_t)random_below(&source, 1000001);
		r->progress.log_from = random_next(&source);
		r->progress.text = any_run(1);
		r->progress.log = any_run(1);
		break;
	default:
		break;
	}
}

static void fill_client_side(struct record *r)
{
	switch (r->kind) {
	case RECORD_SUBMIT:
		r->submit.flags = (unsigned)random_below(&source, 4);
		r->submit.type = any_run(1);
		r->submit.options = any_run(1);
		r->submit.args = any_run(1);
		break;
	case RECORD_ACCEPTED:
		r->accepted.id = any_uuid();
		r->accepted.durability = (enum job_durability)random_below(&source, 3);
		break;
	case RECORD_REFUSED:
		r->refused.status = (uint16_t)random_next(&source);
		r->refused.retry_after_ms = (uint32_t)random_next(&source);
		r->refused.code = any_run(1);
		r->refused.field = any_run(1);
		r->refused.message = any_run(1);
		break;
	case RECORD_FINISHED:
		r->finished.id = any_uuid();
		r->finished.state = (enum job_state)(1 + random_below(&source, 6));
		r->finished.attempts = (uint16_t)random_next(&source);
		r->finished.elapsed_us = (uint32_t)random_next(&source);
		r->finished.code = any_run(1);
		r->finished.message = any_run(1);
		r->finished.meta = any_run(1);
		r->finished.body = any_run(1);
		break;
	case RECORD_REQUEST:
		r->request.method = any_run(1);
		r->request.target = any_run(1);
		r->request.body = any_run(1);
		break;
	case RECORD_RESPONSE:
		r->response.status = (uint16_t)random_next(&source);
		r->response.content_type = any_run(1);
		r->response.body = any_run(1);
		break;
	default:
		break;
	}
}

static struct record any_record(enum record_kind kind)
{
	struct record r = { .kind = kind, .ref = random_next(&source) };

	fill_worker_side(&r);
	fill_client_side(&r);
	return r;
}

/* Spans compare by content, so the records are compared field by field. */
static void same_worker_side(const struct record *a, const struct record *b)
{
	switch (a->kind) {
	case RECORD_HELLO:
		assert_int_equal(a->hello.slot, b->hello.slot);
		assert_true(a->hello.incarnation == b->hello.incarnation);
		assert_true(a->hello.build_id == b->hello.build_id);
		assert_true(a->hello.table_hash == b->hello.table_hash);
		assert_memory_equal(a->hello.capacity, b->hello.capacity, sizeof(a->hello.capacity));
		assert_true(span_equal(a->hello.held, b->hello.held));
		break;
	case RECORD_WELCOME:
		assert_int_equal(a->welcome.epoch, b->welcome.epoch);
		assert_true(span_equal(a->welcome.kept, b->welcome.kept));
		break;
	case RECORD_JOB_INPUTS:
		assert_true(span_equal(a->job.inputs, b->job.inputs));
		/* fall through */
	case RECORD_JOB:
		assert_true(uuid_equal(&a->job.id, &b->job.id));
		assert_int_equal(a->job.type, b->job.type);
		assert_int_equal(a->job.attempt, b->job.attempt);
		assert_int_equal(a->job.timeout_ms, b->job.timeout_ms);
		assert_true(span_equal(a->job.args, b->job.args));
		break;
	case RECORD_RESULT:
		assert_int_equal(a->result.outcome, b->result.outcome);
		assert_int_equal(a->result.retryable, b->result.retryable);
		assert_int_equal(a->result.busy, b->result.busy);
		assert_int_equal(a->result.retry_after_ms, b->result.retry_after_ms);
		assert_int_equal(a->result.elapsed_us, b->result.elapsed_us);
		assert_true(span_equal(a->result.code, b->result.code));
		assert_true(span_equal(a->result.message, b->result.message));
		assert_true(span_equal(a->result.meta, b->result.meta));
		assert_true(span_equal(a->result.body, b->result.body));
		break;
	case RECORD_RESULT_ACK:
		assert_true(span_equal(a->tokens.tokens, b->tokens.tokens));
		break;
	case RECORD_SLOT_FREED:
		assert_int_equal(a->slot_freed.job_class, b->slot_freed.job_class);
		break;
	case RECORD_CHILD:
		assert_true(span_equal(a->child.type, b->child.type));
		assert_true(span_equal(a->child.options, b->child.options));
		assert_true(span_equal(a->child.args, b->child.args));
		/* fall through */
	case RECORD_CHILD_CANCEL:
		assert_true(a->child.number == b->child.number);
		break;
	case RECORD_CHILD_END:
		assert_true(a->child_end.number == b->child_end.number);
		assert_int_equal(a->child_end.state, b->child_end.state);
		assert_true(span_equal(a->child_end.code, b->child_end.code));
		assert_true(span_equal(a->child_end.message, b->child_end.message));
		assert_true(span_equal(a->child_end.meta, b->child_end.meta));
		assert_true(span_equal(a->child_end.body, b->child_end.body));
		break;
	case RECORD_PROGRESS:
		assert_int_equal(a->progress.fraction, b->progress.fraction);
		assert_true(a->progress.log_from == b->progress.log_from);
		assert_true(span_equal(a->progress.text, b->progress.text));
		assert_true(span_equal(a->progress.log, b->progress.log));
		break;
	default:
		break;
	}
}

static void same_client_side(const struct record *a, const struct record *b)
{
	switch (a->kind) {
	case RECORD_SUBMIT:
		assert_int_equal(a->submit.flags, b->submit.flags);
		assert_true(span_equal(a->submit.type, b->submit.type));
		assert_true(span_equal(a->submit.options, b->submit.options));
		assert_true(span_equal(a->submit.args, b->submit.args));
		break;
	case RECORD_ACCEPTED:
		assert_true(uuid_equal(&a->accepted.id, &b->accepted.id));
		assert_int_equal(a->accepted.durability, b->accepted.durability);
		break;
	case RECORD_REFUSED:
		assert_int_equal(a->refused.status, b->refused.status);
		assert_int_equal(a->refused.retry_after_ms, b->refused.retry_after_ms);
		assert_true(span_equal(a->refused.code, b->refused.code));
		assert_true(span_equal(a->refused.field, b->refused.field));
		assert_true(span_equal(a->refused.message, b->refused.message));
		break;
	case RECORD_FINISHED:
		assert_true(uuid_equal(&a->finished.id, &b->finished.id));
		assert_int_equal(a->finished.state, b->finished.state);
		assert_int_equal(a->finished.attempts, b->finished.attempts);
		assert_int_equal(a->finished.elapsed_us, b->finished.elapsed_us);
		assert_true(span_equal(a->finished.code, b->finished.code));
		assert_true(span_equal(a->finished.message, b->finished.message));
		assert_true(span_equal(a->finished.meta, b->finished.meta));
		assert_true(span_equal(a->finished.body, b->finished.body));
		break;
	case RECORD_REQUEST:
		assert_true(span_equal(a->request.method, b->request.method));
		assert_true(span_equal(a->request.target, b->request.target));
		assert_true(span_equal(a->request.body, b->request.body));
		break;
	case RECORD_RESPONSE:
		assert_int_equal(a->response.status, b->response.status);
		assert_true(span_equal(a->response.content_type, b->response.content_type));
		assert_true(span_equal(a->response.body, b->response.body));
		break;
	default:
		break;
	}
}

static void assert_same(const struct record *a, const struct record *b)
{
	assert_int_equal(a->kind, b->kind);
	assert_true(a->ref == b->ref);
	same_worker_side(a, b);
	same_client_side(a, b);
}

/* Decode from a copy that ends where the allocation ends, so that a sanitizer sees one byte too many. */
static int next_exactly(const char *data, size_t size, struct record *ret_record)
{
	char *copy = malloc(size ? size : 1);
	struct span input = { copy, size };
	const char *why = NULL;
	int r;

	assert_non_null(copy);
	memcpy(copy, data, size);
	r = record_next(&input, ret_record, &why);
	assert_true(r == -EPROTO ? why != NULL && *why : why == NULL);
	if (r != 1)
		assert_true(input.data == copy && input.size == size);
	free(copy);
	return r;
}

static void every_kind_comes_back_as_it_went(void **state GA_UNUSED)
{
	for (int round = 0; round < 2000; round++) {
		struct record sent[ARRAY_SIZE(kinds)], got;
		struct buf out = BUF_INIT;
		struct span input;
		const char *why;

		for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
			size_t before = buf_size(&out);

			sent[i] = any_record(kinds[i]);
			assert_int_equal(record_put(&out, &sent[i]), 0);
			assert_int_equal(buf_size(&out) - before, record_size(&sent[i]));
		}
		input = (struct span){ buf_data(&out), buf_size(&out) };
		for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
			assert_int_equal(record_next(&input, &got, &why), 1);
			assert_same(&sent[i], &got);
		}
		assert_int_equal(input.size, 0);
		assert_int_equal(record_next(&input, &got, &why), 0);
		buf_done(&out);
	}
}

static void a_record_cut_at_any_byte_is_incomplete(void **state GA_UNUSED)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct record sent = any_record(kinds[i]), got;
		struct buf out = BUF_INIT;

		assert_int_equal(record_put(&out, &sent), 0);
		for (size_t size = 0; size < buf_size(&out); size++)
			assert_int_equal(next_exactly(buf_data(&out), size, &got), 0);
		assert_int_equal(next_exactly(buf_data(&out), buf_size(&out), &got), 1);
		buf_done(&out);
	}
}

/* Whether a changed header byte at this offset must be refused; flags, size and ref are judged by their values. */
static void check_corrupted(const char *data, size_t size, size_t offset)
{
	struct record got;
	int r = next_exactly(data, size, &got);

	if (offset < 2)
		assert_int_equal(r, -EPROTO);
	else if (offset >= 8 && offset < RECORD_HEADER_SIZE)
		assert_int_equal(r, 1);
	else if (offset >= 4 && offset < 8)
		assert_true(r == -EPROTO || r == 0);
	else
		assert_true(r == -EPROTO || r == 0 || r == 1);
}

static void each_corrupted_byte_is_refused_or_harmless(void **state GA_UNUSED)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct record sent = any_record(kinds[i]);
		struct buf out = BUF_INIT;
		char *data;

		assert_int_equal(record_put(&out, &sent), 0);
		data = buf_data(&out);
		for (size_t at = 0; at < buf_size(&out); at++) {
			char right = data[at];

			for (int value = 0; value < 256; value++) {
				if ((char)value == right)
					continue;
				data[at] = (char)value;
				check_corrupted(data, buf_size(&out), at);
			}
			data[at] = right;
		}
		buf_done(&out);
	}
}

/* A header alone, with the given size, of a DRAIN. */
static int header_alone(uint8_t kind, uint8_t flags, uint32_t size, const char **ret_why)
{
	char bytes[RECORD_HEADER_SIZE] = { (char)RECORD_MAGIC, RECORD_VERSION,    (char)kind,
					   (char)flags,        (char)size,        (char)(size >> 8),
					   (char)(size >> 16), (char)(size >> 24) };
	struct span input = { bytes, sizeof(bytes) };
	struct record got;

	return record_next(&input, &got, ret_why);
}

static void a_wrong_header_is_refused_before_its_body_comes(void **state GA_UNUSED)
{
	const char *why = NULL;

	assert_int_equal(header_alone(RECORD_JOB, 0, RECORD_MAX, &why), 0);
	assert_int_equal(header_alone(RECORD_JOB, 0, RECORD_MAX + 1, &why), -EPROTO);
	assert_non_null(strstr(why, "1114112"));
	assert_int_equal(header_alone(RECORD_JOB, 0, UINT32_MAX, &why), -EPROTO);
	assert_int_equal(header_alone(RECORD_JOB, 0, 1u << 31, &why), -EPROTO);
	assert_int_equal(header_alone(RECORD_JOB, 0, 0, &why), -EPROTO);
	assert_int_equal(header_alone(RECORD_JOB, 0, RECORD_HEADER_SIZE, &why), -EPROTO);
	assert_int_equal(header_alone(RECORD_JOB, 1, 100, &why), -EPROTO);
	assert_non_null(strstr(why, "flags"));
	assert_int_equal(header_alone(RECORD_DRAIN, 0, RECORD_HEADER_SIZE, &why), 1);
	assert_int_equal(header_alone(RECORD_DRAIN, 0, RECORD_HEADER_SIZE + 1, &why), 0);
	for (unsigned kind = 0; kind < 256; kind++) {
		bool known = false;

		for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
			known |= kinds[i] == kind;
		if (known)
			continue;
		assert_int_equal(header_alone((uint8_t)kind, 0, RECORD_HEADER_SIZE, &why), -EPROTO);
		assert_string_equal(why, "unknown kind");
	}
}

static void values_out_of_their_range_are_refused(void **state GA_UNUSED)
{
	static const struct {
		struct record record;
		size_t offset;
		char value;
	} cases[] = {
		{ { .kind = RECORD_RESULT, .result.outcome = OUTCOME_FAILED }, 16, 0 },
		{ { .kind = RECORD_RESULT, .result.outcome = OUTCOME_FAILED }, 16, 7 },
		{ { .kind = RECORD_RESULT, .result.outcome = OUTCOME_FAILED }, 19, 1 },
		{ { .kind = RECORD_SLOT_FREED }, 16, CLASS_COUNT },
		{ { .kind = RECORD_PROGRESS, .progress.fraction = 1000000 }, 16, 0x41 }, /* 1000001 */
		{ { .kind = RECORD_CHILD_END, .child_end.state = JOB_FAILED }, 24, JOB_RUNNING },
		{ { .kind = RECORD_ACCEPTED }, 32, 3 },
		{ { .kind = RECORD_REFUSED }, 18, 1 },
		{ { .kind = RECORD_RESPONSE }, 18, 1 },
		{ { .kind = RECORD_FINISHED, .finished.state = JOB_FAILED }, 32, 0 },
		{ { .kind = RECORD_FINISHED, .finished.state = JOB_FAILED }, 32, JOB_STATE_LIMIT },
		{ { .kind = RECORD_RESULT_ACK, .tokens.tokens = { noise, 16 } }, 4, 35 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct buf out = BUF_INIT;
		struct record got;

		assert_int_equal(record_put(&out, &cases[i].record), 0);
		assert_int_equal(next_exactly(buf_data(&out), buf_size(&out), &got), 1);
		buf_data(&out)[cases[i].offset] = cases[i].value;
		assert_int_equal(next_exactly(buf_data(&out), buf_size(&out), &got), -EPROTO);
		buf_done(&out);
	}
}

static void bytes_behind_the_last_run_are_refused(void **state GA_UNUSED)
{
	const struct record sent = { .kind = RECORD_JOB, .job.args = SPAN("{}") };
	struct buf out = BUF_INIT;
	struct record got;

	assert_int_equal(record_put(&out, &sent), 0);
	assert_int_equal(buf_append(&out, "x", 1), 0);
	buf_data(&out)[4]++;
	assert_int_equal(next_exactly(buf_data(&out), buf_size(&out), &got), -EPROTO);
	buf_done(&out);
}

static void a_run_of_tokens_has_whole_tokens(void **state GA_UNUSED)
{
	const struct record wrong[] = {
		{ .kind = RECORD_HELLO, .hello.held = { noise, 7 } },
		{ .kind = RECORD_WELCOME, .welcome.kept = { noise, 12 } },
		{ .kind = RECORD_RESULT_ACK, .tokens.tokens = { noise, 1 } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct buf out = BUF_INIT;
		struct record got;

		assert_int_equal(record_put(&out, &wrong[i]), 0);
		assert_int_equal(next_exactly(buf_data(&out), buf_size(&out), &got), -EPROTO);
		buf_done(&out);
	}
}

static void tokens_come_back_in_order(void **state GA_UNUSED)
{
	const uint64_t tokens[] = { 1, UINT64_MAX, UINT64_C(0x0102030405060708) };
	struct buf run = BUF_INIT;
	struct span span;

	for (size_t i = 0; i < ARRAY_SIZE(tokens); i++)
		assert_int_equal(record_put_token(&run, tokens[i]), 0);
	span = (struct span){ buf_data(&run), buf_size(&run) };
	assert_int_equal(span.size, 8 * ARRAY_SIZE(tokens));
	for (size_t i = 0; i < ARRAY_SIZE(tokens); i++)
		assert_true(record_token(span, i) == tokens[i]);
	assert_int_equal(span.data ? span.data[16] : 0, 8); /* little-endian on every machine */
	buf_done(&run);
}

static void the_largest_record_passes_and_one_byte_more_does_not(void **state GA_UNUSED)
{
	const size_t bare = RECORD_HEADER_SIZE + 24 + 4;
	char *args = calloc(1, RECORD_MAX);
	struct record sent = { .kind = RECORD_JOB, .job.args = { args, RECORD_MAX - bare } }, got;
	struct buf out = BUF_INIT;

	assert_non_null(args);
	assert_int_equal(record_size(&sent), RECORD_MAX);
	assert_int_equal(record_put(&out, &sent), 0);
	assert_int_equal(next_exactly(buf_data(&out), buf_size(&out), &got), 1);
	sent.job.args.size++;
	assert_int_equal(record_put(&out, &sent), -EMSGSIZE);
	assert_int_equal(buf_size(&out), RECORD_MAX);
	buf_done(&out);
	free(args);
}

static void an_unknown_kind_is_not_written(void **state GA_UNUSED)
{
	const struct record wrong = { .kind = (enum record_kind)31 };
	struct buf out = BUF_INIT;

	assert_int_equal(record_put(&out, &wrong), -EINVAL);
	assert_int_equal(record_size(&wrong), 0);
	assert_int_equal(buf_size(&out), 0);
	buf_done(&out);
}

/* PROTOCOL.md prints these bytes. */
static void the_layout_is_the_documented_one(void **state GA_UNUSED)
{
	static const char want[] = "\xd7\x01\x03\x00\x2e\x00\x00\x00\x08\x07\x06\x05\x04\x03\x02\x01"
				   "\x01\x92\x00\x00\x00\x00\x70\x00\x80\x00\x00\x00\x00\x00\x00\x2a"
				   "\x05\x00\x01\x00\x30\x75\x00\x00\x02\x00\x00\x00{}";
	const struct record job = {
		.kind = RECORD_JOB,
		.ref = UINT64_C(0x0102030405060708),
		.job = { .id = { { 1, 0x92, 0, 0, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, 0x2a } },
			 .type = 5,
			 .attempt = 1,
			 .timeout_ms = 30000,
			 .args = SPAN("{}") },
	};
	struct buf out = BUF_INIT;

	assert_int_equal(record_put(&out, &job), 0);
	assert_int_equal(buf_size(&out), sizeof(want) - 1);
	assert_memory_equal(buf_data(&out), want, sizeof(want) - 1);
	buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_comes_back_as_it_went),
		cmocka_unit_test(a_record_cut_at_any_byte_is_incomplete),
		cmocka_unit_test(each_corrupted_byte_is_refused_or_harmless),
		cmocka_unit_test(a_wrong_header_is_refused_before_its_body_comes),
		cmocka_unit_test(values_out_of_their_range_are_refused),
		cmocka_unit_test(bytes_behind_the_last_run_are_refused),
		cmocka_unit_test(a_run_of_tokens_has_whole_tokens),
		cmocka_unit_test(tokens_come_back_in_order),
		cmocka_unit_test(the_largest_record_passes_and_one_byte_more_does_not),
		cmocka_unit_test(an_unknown_kind_is_not_written),
		cmocka_unit_test(the_layout_is_the_documented_one),
	};

	random_seed(&source, 1);
	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (char)random_next(&source);
	return TAP_RUN(tests);
}
