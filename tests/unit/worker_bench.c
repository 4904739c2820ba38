#include "worker_bench.h"

static char *bench_copy(struct span s)
{
	char *copy = s.size ? malloc(s.size + 1) : NULL;

	if (copy) {
		memcpy(copy, s.data, s.size);
		copy[s.size] = '\0';
	}
	return copy;
}

static void bench_hear(void *arg, const struct record *r)
{
	struct bench *b = arg;
	struct heard *h = &b->heard[b->count < HEARD_MAX ? b->count++ : HEARD_MAX - 1];
	struct buf wire = BUF_INIT;

	b->record_bytes = record_put(&wire, r) == 0 ? buf_size(&wire) : 0;
	buf_done(&wire);
	h->kind = r->kind;
	h->token = r->ref;
	if (r->kind == RECORD_RESULT) {
		h->outcome = r->result.outcome;
		h->retryable = r->result.retryable;
		h->busy = r->result.busy;
		h->retry_after_ms = r->result.retry_after_ms;
		h->elapsed_us = r->result.elapsed_us;
		snprintf(h->code, sizeof(h->code), "%.*s", (int)r->result.code.size,
			 r->result.code.size ? r->result.code.data : "");
		snprintf(h->message, sizeof(h->message), "%.*s", (int)r->result.message.size,
			 r->result.message.size ? r->result.message.data : "");
		h->meta = bench_copy(r->result.meta);
		h->body = bench_copy(r->result.body);
		h->body_size = r->result.body.size;
	}
	if (r->kind == RECORD_PROGRESS) {
		h->fraction = r->progress.fraction;
		h->log_from = r->progress.log_from;
		snprintf(h->message, sizeof(h->message), "%.*s", (int)r->progress.text.size,
			 r->progress.text.data);
		h->body = bench_copy(r->progress.log);
		h->body_size = r->progress.log.size;
	}
	h->at = clock_monotonic();
	if (b->count >= b->wanted)
		loop_stop(b->loop);
}

static void bench_give_up(struct loop_timer *t)
{
	struct bench *b = t->arg;

	b->gave_up = true;
	loop_stop(b->loop);
}

bool bench_wait(struct bench *b, size_t count)
{
	b->wanted = count;
	b->gave_up = false;
	if (b->count >= count)
		return true;
	if (loop_timer_set(b->loop, &b->give_up, clock_monotonic() + GIVE_UP_NS) < 0)
		return false;
	if (loop_run(b->loop) < 0)
		return false;
	loop_timer_stop(b->loop, &b->give_up);
	return !b->gave_up;
}

void bench_run_for(struct bench *b, int64_t ns)
{
	b->wanted = SIZE_MAX;
	if (loop_timer_set(b->loop, &b->give_up, clock_monotonic() + ns) == 0)
		(void)!loop_run(b->loop);
}

void bench_send_inputs(struct bench *b, uint64_t token, const char *type, const char *args,
		       const char *inputs, uint32_t timeout_ms)
{
	const struct job_type *t = type_find(registry_table(b->registry), span_of(type));
	struct record_job job = { .type = t ? t->index : UINT16_MAX,
				  .attempt = 1,
				  .timeout_ms = timeout_ms,
				  .args = span_of(args),
				  .inputs = span_of(inputs) };

	job.id.b[0] = 0xab;
	runner_take(b->runner, token, &job);
}

void bench_send(struct bench *b, uint64_t token, const char *type, const char *args, uint32_t timeout_ms)
{
	bench_send_inputs(b, token, type, args, NULL, timeout_ms);
}

void bench_acknowledge(struct bench *b, uint64_t token)
{
	struct buf tokens = BUF_INIT;

	if (record_put_token(&tokens, token) == 0)
		runner_acknowledge(b->runner, (struct span){ buf_data(&tokens), buf_size(&tokens) });
	buf_done(&tokens);
}

void bench_acknowledge_all(struct bench *b)
{
	for (size_t i = 0; i < b->count; i++)
		bench_acknowledge(b, b->heard[i].token);
}

void bench_forget_heard(struct bench *b)
{
	for (size_t i = 0; i < b->count; i++) {
		free(b->heard[i].meta);
		free(b->heard[i].body);
	}
	memset(b->heard, 0, sizeof(b->heard));
	b->count = 0;
}

void bench_charge_to(struct shared_page *page)
{
	struct runtime *runtime = runtime_get();

	charge_to(page);
	if (runtime)
		charge_tasks(runtime);
}

struct bench *bench_new(const struct registry_options *modules, int64_t grace)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct runner_options options = { .send = bench_hear, .arg = b, .grace = grace };
	char why[512] = "";

	if (!b || loop_new(NULL, &b->loop) < 0)
		return NULL;
	if (registry_load(modules, &b->registry, why, sizeof(why)) < 0) {
		fprintf(stderr, "# %s\n", why);
		return NULL;
	}
	options.loop = b->loop;
	options.registry = b->registry;
	bench_charge_to(&b->page);
	if (runner_new(&options, &b->runner) < 0)
		return NULL;
	loop_timer_init(&b->give_up, bench_give_up, b);
	runner_welcome(b->runner, (struct span){ 0 });
	return b;
}

void bench_free(struct bench *b)
{
	runner_free(b->runner);
	loop_timer_stop(b->loop, &b->give_up);
	loop_free(b->loop);
	registry_free(b->registry);
	bench_forget_heard(b);
	free(b);
}
