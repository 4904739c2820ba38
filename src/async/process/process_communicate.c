/*
 * process_communicate.c — all input, all output, and the end.
 *
 * A small task feeds, one collects each output; the caller waits for them and for the child's end. What was fed and
 * collected stands in the process, so that a call which was cut short can be made again.
 */
#include "clock.h"
#include "process_parts.h"
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#define CHUNK 65536u
#define REST_MAX (1u << 20) /* that a pipe holds, by default of fs.pipe-max-size */
#define GRACE_NS (250 * NSEC_PER_MSEC)

struct collecting {
	ga_stream *stream;
	struct collected *to;
	size_t cap;
};

struct exchange {
	ga_process *process;
	const char *input;
	size_t input_size;
	struct collecting out, err;
	ga_future *helpers[3];
	size_t count;
};

static void begin(struct exchange *x);
static void add_helper(struct exchange *x, const char *name, ga_coroutine_fn fn, const void *arg);
static int wait_for_end(const struct exchange *x, int64_t deadline);
static int wait_for_one(const struct exchange *x, ga_future *end, int64_t deadline);
static int first_failure(const struct exchange *x);
static void end_helpers(struct exchange *x);
static int feed(const void *exchange);
static int collect(const void *collecting);
static int64_t collect_some(const struct collecting *c, int64_t deadline);
static int collect_rest(const struct collecting *c);
static void give(const struct collecting *c, struct ga_output *ret_output);

int ga_process_communicate(ga_process *process, const void *input, size_t input_size, size_t cap,
			   int64_t deadline, struct ga_output *ret_out, struct ga_output *ret_err)
{
	struct exchange x = {
		.process = process,
		.input = input,
		.input_size = input_size,
		.out = { process->out, &process->out_bytes, cap },
		.err = { process->err, &process->err_bytes, cap },
	};
	int r;

	if (!ga_self())
		return -EPERM;
	begin(&x);
	r = wait_for_end(&x, deadline);
	end_helpers(&x);
	if (r >= 0)
		r = collect_rest(&x.out);
	if (r >= 0)
		r = collect_rest(&x.err);
	if (r < 0)
		return r;
	give(&x.out, ret_out);
	give(&x.err, ret_err);
	return process->status;
}

void ga_output_free(struct ga_output *output)
{
	if (!output)
		return;
	free(output->data);
	*output = (struct ga_output){ 0 };
}

static void begin(struct exchange *x)
{
	if (x->process->in)
		add_helper(x, "process stdin", feed, x);
	if (x->out.stream)
		add_helper(x, "process stdout", collect, &x->out);
	if (x->err.stream)
		add_helper(x, "process stderr", collect, &x->err);
}

static void add_helper(struct exchange *x, const char *name, ga_coroutine_fn fn, const void *arg)
{
	const struct ga_spawn_options options = { .name = name, .stack_bytes = 16384 };

	x->helpers[x->count++] = ga_spawn_with(fn, arg, &options);
}

/* The outputs may end long before the child, and, if it has left them to others, after it. */
static int wait_for_end(const struct exchange *x, int64_t deadline)
{
	GA_AUTO ga_future *end = ga_process_future(x->process);
	int r = end ? first_failure(x) : -ENOMEM;

	while (r >= 0 && !ga_done(end)) {
		r = wait_for_one(x, end, deadline);
		if (r >= 0)
			r = first_failure(x);
	}
	if (r < 0 || x->count == 0)
		return r;
	r = ga_wait(x->helpers, x->count, GA_ALL_COMPLETED, MIN(deadline, ga_now() + GRACE_NS));
	return r < 0 ? r : first_failure(x);
}

static int wait_for_one(const struct exchange *x, ga_future *end, int64_t deadline)
{
	ga_future *pending[4] = { end };
	size_t count = 1;
	int r;

	for (size_t i = 0; i < x->count; i++)
		if (!ga_done(x->helpers[i]))
			pending[count++] = x->helpers[i];
	r = ga_wait(pending, count, GA_FIRST_COMPLETED, deadline);
	return r == 0 ? -ETIMEDOUT : r;
}

static int first_failure(const struct exchange *x)
{
	for (size_t i = 0; i < x->count; i++)
		if (ga_done(x->helpers[i]) && ga_result(x->helpers[i], NULL) < 0)
			return ga_result(x->helpers[i], NULL);
	return 0;
}

static void end_helpers(struct exchange *x)
{
	for (size_t i = 0; i < x->count; i++)
		ga_cancel(x->helpers[i]);
	(void)ga_gather(x->helpers, x->count, GA_RETURN_EXCEPTIONS); /* joins, cancelled or not */
	ga_release_all(x->helpers, x->count);
}

/* So much at a time as a pipe takes as a whole or not at all: a cancelled call knows how much it has written. */
static int feed(const void *exchange)
{
	const struct exchange *x = exchange;
	ga_process *p = x->process;
	int r = 0;

	while (r == 0 && p->fed < x->input_size) {
		size_t size = MIN(x->input_size - p->fed, (size_t)PIPE_BUF);

		r = ga_stream_write(p->in, x->input + p->fed, size, GA_NEVER);
		if (r == 0)
			p->fed += size;
	}
	if (r < 0 && r != -EPIPE)
		return r;
	(void)ga_stream_shutdown(p->in); /* it may have been, before */
	return 0;
}

static int collect(const void *collecting)
{
	const struct collecting *c = collecting;
	int64_t n;

	do
		n = collect_some(c, GA_NEVER);
	while (n > 0);
	return (int)n;
}

/* How much came, kept or not; 0 at the end. There is always room for the NUL behind it. */
static int64_t collect_some(const struct collecting *c, int64_t deadline)
{
	struct collected *to = c->to;
	char *room = buf_reserve(&to->buf, CHUNK);
	size_t kept = buf_size(&to->buf);
	int64_t n;

	if (!room)
		return -ENOMEM;
	if (to->ended)
		return 0;
	n = ga_stream_read(c->stream, room, CHUNK - 1, deadline);
	if (n < 0)
		return n;
	to->ended = n == 0;
	if (kept >= c->cap || (size_t)n > c->cap - kept) {
		to->cut |= n > 0;
		buf_grew(&to->buf, kept < c->cap ? c->cap - kept : 0);
	} else {
		buf_grew(&to->buf, (size_t)n);
	}
	return n;
}

/* What the child wrote before it ended is in the pipe, whoever else still holds that. */
static int collect_rest(const struct collecting *c)
{
	int64_t n = 1;

	for (int64_t rest = 0; c->stream && !c->to->ended && n > 0 && rest < REST_MAX; rest += n)
		n = collect_some(c, 0);
	return n < 0 && n != -ETIMEDOUT ? (int)n : 0;
}

static void give(const struct collecting *c, struct ga_output *ret_output)
{
	struct collected *from = c->to;

	if (ret_output)
		*ret_output = (struct ga_output){ 0 };
	if (ret_output && c->stream) {
		*ret_output = (struct ga_output){ .data = buf_data(&from->buf),
						  .size = buf_size(&from->buf),
						  .cut = from->cut,
						  .open = !from->ended };
		ret_output->data[ret_output->size] = '\0';
		from->buf = (struct buf)BUF_INIT;
	}
	buf_done(&from->buf);
}
