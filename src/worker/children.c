#include "children.h"
#include "runner_internal.h"
#include <errno.h>
#include <gather/worker.h>
#include <stdlib.h>

struct children {
	struct list left; /* struct child */
	uint64_t last_number;
	unsigned parked; /* calls of ga_job_gather() under way */
};

/* A future, and one reference more for as long as the job hasn't ended. */
struct child {
	struct ga_future future;
	struct list mates;
	struct ga_job *parent; /* NULL: it has ended */
	uint64_t number;
	bool cancelling;
	struct ga_child_result result;
	char *texts; /* that the result points into */
};

static void child_cancel(struct ga_future *f);
static void child_free(struct ga_future *f);

static const struct future_ops child_ops = { .kind = "child", .cancel = child_cancel, .free = child_free };

static struct child *child_of(const struct ga_future *f)
{
	return container_of(f, struct child, future);
}

static void tell(struct ga_job *job, const struct record *record)
{
	struct runner *r = attempt_runner(job);

	if (r->online)
		r->send(r->arg, record);
}

/* ---- one child ---- */

static void child_cancel(struct ga_future *f)
{
	struct child *c = child_of(f);

	if (!c->parent || c->cancelling)
		return;
	c->cancelling = true;
	tell(c->parent, &(struct record){ .kind = RECORD_CHILD_CANCEL,
					  .ref = c->parent->token,
					  .child.number = c->number });
}

static void child_free(struct ga_future *f)
{
	struct child *c = child_of(f);

	free(c->texts);
	free(c);
}

static int errno_of(enum job_state state, struct span code)
{
	if (state == JOB_SUCCEEDED)
		return 0;
	if (state == JOB_CANCELLED)
		return -ECANCELED;
	if (state == JOB_EXPIRED || span_equal(code, SPAN("timeout")))
		return -ETIMEDOUT;
	return -EIO;
}

static const char *keep_text(char **at, struct span text)
{
	char *copy = *at;

	if (text.size > 0)
		memcpy(copy, text.data, text.size);
	copy[text.size] = '\0';
	*at = copy + text.size + 1;
	return copy;
}

/* Without memory for what it gave, it has failed. */
static int keep_result(struct child *c, const struct record_child_end *end)
{
	size_t size = end->code.size + end->message.size + end->meta.size + end->body.size + 4;
	char *at = malloc(size);

	if (!at)
		return -ENOMEM;
	c->texts = at;
	c->result = (struct ga_child_result){ .code = keep_text(&at, end->code),
					      .message = keep_text(&at, end->message),
					      .meta = keep_text(&at, end->meta),
					      .meta_size = end->meta.size,
					      .body = keep_text(&at, end->body),
					      .body_size = end->body.size };
	return errno_of(end->state, end->code);
}

/* The parent may end by this, if it waited for it. */
static void child_ended(struct child *c, const struct record_child_end *end)
{
	struct ga_job *parent = GA_TAKE_PTR(c->parent);
	int result = keep_result(c, end);

	list_remove(&c->mates);
	future_resolve(&c->future, result, NULL);
	ga_release(&c->future);
	if (parent->settling && !children_left(parent))
		attempt_settle(parent, parent->result);
}

/* ---- of an attempt ---- */

static struct children *children_of(struct ga_job *job)
{
	struct attempt_output *o = attempt_output(job);

	if (!o || o->children)
		return o ? o->children : NULL;
	o->children = calloc(1, sizeof(*o->children));
	if (o->children)
		list_init(&o->children->left);
	return o->children;
}

bool children_left(const struct ga_job *job)
{
	return job->output && job->output->children && !list_empty(&job->output->children->left);
}

static struct child *find_child(const struct ga_job *job, uint64_t number)
{
	if (!children_left(job))
		return NULL;
	LIST_FOREACH(it, &job->output->children->left) {
		struct child *c = LIST_ENTRY(it, struct child, mates);

		if (c->number == number)
			return c;
	}
	return NULL;
}

void children_end(struct runner *r, uint64_t token, const struct record_child_end *end)
{
	struct ga_job *job = map_get(&r->attempts, token_hash(token), &token);
	struct child *c = job ? find_child(job, end->number) : NULL;

	if (c)
		child_ended(c, end);
}

void children_cancel(struct ga_job *job)
{
	LIST_FOREACH(it, &job->output->children->left)
		child_cancel(&LIST_ENTRY(it, struct child, mates)->future);
}

void children_lost(struct ga_job *job)
{
	const struct record_child_end lost = { .state = JOB_FAILED,
					       .code = SPAN("lost"),
					       .message = SPAN("the broker that had it is gone") };

	/* The last one may end the attempt. */
	for (bool left = children_left(job); left;) {
		struct list *all = &job->output->children->left;

		left = all->next != all->prev;
		child_ended(LIST_ENTRY(all->next, struct child, mates), &lost);
	}
}

void children_free(struct children *children)
{
	struct list *node;

	if (!children)
		return;
	while ((node = list_pop_front(&children->left))) {
		struct child *c = LIST_ENTRY(node, struct child, mates);

		c->parent = NULL;
		ga_release(&c->future);
	}
	free(children);
}

/* ---- what handlers call ---- */

static ga_future *refused(struct child *c, int error, const char *code, const char *message)
{
	c->result.code = code;
	c->result.message = message;
	future_resolve(&c->future, error, NULL);
	return &c->future;
}

ga_future *ga_job_submit(ga_job *job, const char *type, const char *args, const char *options)
{
	struct children *children = loop_current() == attempt_runner(job)->loop ? children_of(job)
										: NULL;
	struct child *c = children ? calloc(1, sizeof(*c)) : NULL;
	struct record record = { .kind = RECORD_CHILD, .ref = job->token };

	if (!c)
		return NULL;
	future_init(&c->future, &child_ops);
	list_init(&c->mates);
	c->result = (struct ga_child_result){ "", "", "", 0, "", 0 };
	c->number = record.child.number = ++children->last_number;
	record.child.type = span_of(type);
	record.child.args = span_of(args);
	record.child.options = span_of(options);
	if (record_size(&record) > RECORD_MAX)
		return refused(c, -EMSGSIZE, "args_too_large", "a job is at most 1 MiB");
	if (job->state != ATTEMPT_RUNNING || job->stop != STOP_NONE || job->settling)
		return refused(c, -ECANCELED, "cancelled", "the attempt that it would belong to ends");
	c->parent = job;
	c->future.refs++;
	list_push_back(&children->left, &c->mates);
	tell(job, &record);
	return &c->future;
}

int ga_job_gather(ga_job *job, ga_future *const futures[], size_t count, unsigned flags)
{
	struct children *children = children_of(job);
	int result;

	if (!children)
		return -ENOMEM;
	if (children->parked++ == 0)
		tell(job, &(struct record){ .kind = RECORD_PARK, .ref = job->token });
	result = ga_gather(futures, count, flags);
	if (--children->parked == 0)
		tell(job, &(struct record){ .kind = RECORD_UNPARK, .ref = job->token });
	return result;
}

int ga_child_result(const ga_future *child, struct ga_child_result *ret_result)
{
	if (!child || child->ops != &child_ops)
		return -EINVAL;
	if (future_pending((struct ga_future *)(uintptr_t)child))
		return -EINPROGRESS;
	*ret_result = child_of(child)->result;
	return 0;
}
