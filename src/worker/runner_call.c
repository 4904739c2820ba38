#include "runner_internal.h"

#include "charge.h"
#include "clock.h"
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

static int parse_args(struct ga_job *job, struct span text);
static void begin_task(struct ga_job *job);
static void begin_start(struct ga_job *job);
static void begin_work(struct ga_job *job);
static int64_t work_deadline(const struct ga_job *job);
static void on_timer(struct loop_timer *t);
static void on_resolved(struct future_waiter *w, struct ga_future *f);

/* Small and fixed: without the memory for it no attempt can be watched. */
static void timer_set(struct ga_job *job, int64_t due)
{
	if (loop_timer_set(attempt_runner(job)->loop, &job->timer, due) < 0)
		abort();
}

static void clock_start(struct ga_job *job, int64_t now)
{
	job->started = now;
	job->deadline = job->timeout_ms ? time_add(now, job->timeout_ms * NSEC_PER_MSEC) : GA_NEVER;
}

void attempt_begin(struct ga_job *job)
{
	const struct ga_job_type *type = &attempt_type(job)->declaration;
	struct span text = { job->text, job->text_size };

	job->args = NULL;
	job->result = 0;
	attempt_move(job, ATTEMPT_RUNNING);
	loop_timer_init(&job->timer, on_timer, job);
	if (!type->work)
		clock_start(job, loop_clock(attempt_runner(job)->loop));
	if (parse_args(job, text) < 0)
		attempt_settle(job, -EINVAL);
	else if (type->start)
		begin_start(job);
	else if (type->run)
		begin_task(job);
	else
		begin_work(job);
}

/* The door has checked them; this guards the handlers, which rely on it, against a broken peer. */
static int parse_args(struct ga_job *job, struct span text)
{
	const struct job_type *type = attempt_type(job)->entry;
	struct refusal r = { 0 };
	int error = 0;

	if (text.size > 2 && json_read_object(text, "args", &job->args, &r) < 0)
		error = -EINVAL;
	if (error == 0 && (job->args || type->required))
		error = type_check_args(type, job->args, &r);
	if (error < 0)
		attempt_error(job, false, "bad_argument", r.message);
	return error;
}

/* The future of a handler that has been called: it has ended, or is waited for. */
static void attempt_watch(struct ga_job *job, ga_future *future)
{
	if (!future) {
		attempt_settle(job, job->output && job->output->code[0] ? -EIO : -ENOMEM);
		return;
	}
	job->future = future;
	if (!future_pending(future)) {
		attempt_settle(job, ga_result(future, NULL));
		return;
	}
	future_wait(future, &job->waiter, on_resolved);
	if (job->deadline != GA_NEVER)
		timer_set(job, job->deadline);
}

static int run_task(const void *arg)
{
	struct ga_job *job = (struct ga_job *)(uintptr_t)arg;

	return attempt_type(job)->declaration.run(job);
}

static void begin_task(struct ga_job *job)
{
	const struct ga_job_type *type = &attempt_type(job)->declaration;
	const struct ga_spawn_options options = { .name = type->name,
						  .stack_bytes = type->stack_bytes,
						  .eager = true };
	uint64_t before = charge(job->token);
	ga_future *future = ga_spawn_with(run_task, job, &options);

	charge(before);
	attempt_watch(job, future);
}

static void begin_start(struct ga_job *job)
{
	const struct ga_job_type *type = &attempt_type(job)->declaration;
	uint64_t before = charge(job->token);
	ga_future *future = type->start(job);

	charge(before);
	if (!type->finish) { /* nobody will look at them again: a sleeping job costs no tree */
		json_decref(job->args);
		job->args = NULL;
	}
	attempt_watch(job, future);
}

/* On a thread of the pool. */
static int do_work(void *arg)
{
	struct ga_job *job = arg;

	clock_start(job, clock_monotonic()); /* its time in the pool's queue doesn't count */
	atomic_store_explicit(&job->begun, true, memory_order_release);
	charge_thread(job->token);
	job->result = attempt_type(job)->declaration.work(job);
	charge_thread(0);
	return 0;
}

/* On the loop: it has been done, or withdrawn before a thread took it. */
static void on_work_over(void *arg)
{
	struct ga_job *job = arg;

	attempt_settle(job, job->begun ? job->result : -ECANCELED);
}

static void begin_work(struct ga_job *job)
{
	const struct ga_job_type *type = &attempt_type(job)->declaration;
	enum ga_pool pool = type->job_class == GA_CLASS_CPU ? GA_POOL_CPU : GA_POOL_IO;

	if (attempt_output(job)) /* made here: its thread must not race for it with the loop's */
		job->future = ga_executor_with(pool, do_work, job, on_work_over);
	if (!job->future)
		attempt_settle(job, -ENOMEM);
	else if (job->timeout_ms)
		timer_set(job, work_deadline(job));
}

/* While it waits for a thread, its time hasn't begun. */
static int64_t work_deadline(const struct ga_job *job)
{
	if (atomic_load_explicit(&job->begun, memory_order_acquire))
		return job->deadline;
	return time_add(loop_now(attempt_runner(job)->loop), job->timeout_ms * NSEC_PER_MSEC);
}

static void on_timer(struct loop_timer *t)
{
	struct ga_job *job = t->arg;
	bool is_work = attempt_type(job)->declaration.work;

	if (job->stop == STOP_NONE && is_work &&
	    work_deadline(job) > loop_now(attempt_runner(job)->loop))
		timer_set(job, work_deadline(job));
	else if (job->stop == STOP_NONE)
		attempt_stop(job, STOP_TIMEOUT);
	else
		attempt_abandon(job);
}

void attempt_stop(struct ga_job *job, enum attempt_stop why)
{
	bool is_work = attempt_type(job)->declaration.work;
	struct runner *r = attempt_runner(job);

	if (job->stop != STOP_NONE || job->settling)
		return;
	if (!is_work && !future_pending(job->future))
		return;          /* it ends in this turn, with what it has */
	if (why != STOP_DRAIN) { /* a drain only takes back what no thread has begun */
		job->stop = (uint8_t)why;
		timer_set(job, time_add(loop_now(r->loop), is_work ? WORK_GRACE_NS : r->grace));
	}
	ga_cancel(job->future);
}

/* Inside future_resolve(), perhaps on a task's stack: the rest is done in the loop's next turn. */
static void on_resolved(struct future_waiter *w, struct ga_future *f)
{
	struct ga_job *job = container_of(w, struct ga_job, waiter);
	struct runner *r = attempt_runner(job);

	(void)f;
	list_push_back(&r->ended, &job->place);
	loop_call_soon(r->loop, &r->settle_call);
}
