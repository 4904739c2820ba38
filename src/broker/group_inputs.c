#include "group_inputs.h"
#include "dispatch.h"
#include "engine_groups.h"
#include "group_map.h"
#include "group_row.h"
#include "log.h"
#include "reference.h"
#include "store.h"
#include <errno.h>
#include <stdlib.h>

/* Of the results, as they are kept, while they are gathered: what is sent then is a record. */
#define GATHERED_MAX (4u * RECORD_MAX)

/* A result that is referred to. */
struct input {
	struct list mates;
	uint64_t sequence; /* what `rest` goes on from, at last the job; 0: there is no such member */
	size_t rest;       /* where in `whose` the next place in a group begins, or its end */
	struct span whose; /* a NUL-terminated copy behind this */
};

/* An attempt whose inputs are gathered. */
struct gathering {
	struct list mates; /* in group_desk.gatherings, or in .failing */
	struct broker *broker;
	struct uuid id;
	uint64_t token;
	struct bytes *args;
	/* A job that came back without its groups: those that were read, the innermost first, each the next one's parent
	 * but for the last, whose parent (0: none) may be in the engine. */
	struct group *ancestors, *last_ancestor;
	uint64_t next_ancestor;
	struct list missing; /* struct input */
	json_t *inputs;
	size_t size; /* of the results in there */
	struct store_read *read;
	const char *code, *message; /* why it fails */
};

static void go_on(struct gathering *g);
static void climb(struct gathering *g);

/* ---- who is meant ---- */

static const struct group *chain_around(const struct group *g)
{
	while (g && g->options.kind != GROUP_CHAIN)
		g = g->parent;
	return g;
}

static uint64_t member_of(const struct group *g, unsigned long place)
{
	return g && place < g->count ? g->sequences[place] : 0;
}

/* Up as often as "../" says, and to the first place. */
static void begin_input(const struct group *group, struct input *in)
{
	const struct group *chain = chain_around(group);
	const char *start = in->whose.data, *at = start;
	char *end;

	for (; strncmp(at, "../", 3) == 0; at += 3)
		chain = chain ? chain_around(chain->parent) : NULL;
	in->sequence = member_of(chain, strtoul(at, &end, 10));
	in->rest = (size_t)(end - start);
}

/* Down into a group. */
static void descend(struct input *in, const struct group *group)
{
	char *end;

	in->sequence = member_of(group, strtoul(in->whose.data + in->rest + 1, &end, 10));
	in->rest = (size_t)(end - in->whose.data);
}

/* ---- gathering ---- */

static struct gathering *gathering_new(struct broker *b, const struct job *job, struct span args)
{
	struct gathering *g = calloc(1, sizeof(*g));

	if (!g || !(g->args = bytes_new(args.data, args.size)) || !(g->inputs = json_object()))
		abort(); /* bounded by what one job may have */
	g->broker = b;
	g->id = job->id;
	g->token = job->token;
	list_init(&g->missing);
	list_push_back(&b->groups->gatherings, &g->mates);
	return g;
}

void gathering_free(struct gathering *g)
{
	struct list *node;

	while ((node = list_pop_front(&g->missing)))
		free(LIST_ENTRY(node, struct input, mates));
	if (g->read)
		store_read_cancel(g->read);
	while (g->ancestors) {
		struct group *ancestor = g->ancestors;

		g->ancestors = ancestor == g->last_ancestor ? NULL : ancestor->parent;
		group_unpacked_free(ancestor);
	}
	list_remove(&g->mates);
	bytes_unref(g->args);
	json_decref(g->inputs);
	free(g);
}

struct gathering *gathering_at(struct list *node)
{
	return LIST_ENTRY(node, struct gathering, mates);
}

/* Not while the engine's actions are carried out: inputs_settle() does the rest. */
static void fail(struct gathering *g, const char *code, const char *message)
{
	g->code = code;
	g->message = message;
	list_remove(&g->mates);
	list_push_back(&g->broker->groups->failing, &g->mates);
}

static bool is_wanted(const struct gathering *g, struct span whose)
{
	LIST_FOREACH(it, &g->missing) {
		if (span_equal(LIST_ENTRY(it, struct input, mates)->whose, whose))
			return true;
	}
	return false;
}

static int want(void *arg, const struct reference *ref, const char *field GA_UNUSED,
		struct refusal *r GA_UNUSED)
{
	struct gathering *g = arg;
	struct input *in;
	char *copy;

	if (is_wanted(g, ref->whose))
		return 0;
	in = calloc(1, sizeof(*in) + ref->whose.size + 1);
	if (!in)
		abort();
	copy = (char *)(in + 1);
	memcpy(copy, ref->whose.data, ref->whose.size);
	in->whose = (struct span){ copy, ref->whose.size };
	list_push_back(&g->missing, &in->mates);
	return 0;
}

static struct span text_of(const struct bytes *b)
{
	return b ? (struct span){ b->data, b->size } : (struct span){ 0 };
}

static void add_input(struct gathering *g, struct input *in, struct span meta, struct span body)
{
	json_t *input = reference_input(meta, body);

	if (!input || json_object_set_new(g->inputs, in->whose.data, input) < 0)
		abort();
	g->size += meta.size + body.size;
	list_remove(&in->mates);
	free(in);
}

static void on_rows(void *arg, const struct store_rows *rows)
{
	struct gathering *g = arg;
	struct broker *b = g->broker;
	struct input *in = LIST_ENTRY(g->missing.next, struct input, mates);
	struct group *group = NULL;

	g->read = NULL;
	if (rows->error == 0 && rows->job_count > 0 && !in->whose.data[in->rest]) {
		add_input(g, in, rows->jobs[0].meta, rows->jobs[0].body);
		go_on(g);
	} else if (rows->error == 0 && rows->group_count > 0 && in->whose.data[in->rest] &&
		   group_row_unpack(b, &rows->groups[0], &group) == 0) {
		descend(in, group);
		group_unpacked_free(group);
		go_on(g);
	} else {
		fail(g, "inputs_gone", "a result that its arguments refer to is no longer kept");
	}
	inputs_settle(b);
}

/* Whether it could be had at once; if not, it is being read, or the attempt fails. */
static bool look_up(struct gathering *g, struct input *in)
{
	struct broker *b = g->broker;
	const struct job *job = engine_job_at(b->engine, in->sequence);
	const struct group *group = job ? NULL : engine_group_at(b->engine, in->sequence);

	if (job && !in->whose.data[in->rest]) {
		add_input(g, in, text_of(job->meta), text_of(job->body));
		return true;
	}
	if (group && in->whose.data[in->rest]) {
		descend(in, group);
		return true;
	}
	if (job || group || !in->sequence || !b->store ||
	    store_read_sequence(b->store, in->sequence, on_rows, g, &g->read) < 0)
		fail(g, "inputs_gone", "a result that its arguments refer to is no longer kept");
	return false;
}

static void fail_too_large(struct gathering *g)
{
	fail(g, "inputs_too_large",
	     "its arguments and the results that they refer to are more than 1 MiB together");
}

static void send(struct gathering *g, const struct job *job)
{
	char *text = json_dumps(g->inputs, JSON_COMPACT);
	struct span inputs = span_of(text ? text : "{}");

	if (g->args->size + inputs.size + RECORD_HEADER_SIZE + 64 > RECORD_MAX)
		fail_too_large(g);
	else
		dispatch_job(g->broker, job, text_of(g->args), inputs);
	free(text);
	if (!g->code)
		gathering_free(g);
}

/* Its worker may have gone meanwhile: then there is nothing more to do. */
static struct job *job_of(struct gathering *g)
{
	struct job *job;

	if (engine_find(g->broker->engine, &g->id, &job) == 0 && job->state == JOB_RUNNING &&
	    job->token == g->token)
		return job;
	gathering_free(g);
	return NULL;
}

static void go_on(struct gathering *g)
{
	struct job *job = job_of(g);

	if (!job)
		return;
	while (!list_empty(&g->missing)) {
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it doesn't see that the list has moved on */
		if (!look_up(g, LIST_ENTRY(g->missing.next, struct input, mates)))
			return;
		if (g->size > GATHERED_MAX) {
			fail_too_large(g);
			return;
		}
	}
	send(g, job);
}

/* In which groups it stands is known. Outside of chains its arguments are what they are. */
static void begin(struct gathering *g, const struct job *job, const struct group *group)
{
	if (!chain_around(group)) {
		dispatch_job(g->broker, job, text_of(g->args), (struct span){ 0 });
		gathering_free(g);
		return;
	}
	LIST_FOREACH(it, &g->missing)
		begin_input(group, LIST_ENTRY(it, struct input, mates));
	go_on(g);
}

/* ---- up, through groups that have ended and are in the store alone ---- */

static void on_ancestor(void *arg, const struct store_rows *rows)
{
	struct gathering *g = arg;
	struct broker *b = g->broker;
	struct group *group;

	g->read = NULL;
	if (rows->error == 0 && rows->group_count > 0 &&
	    group_row_unpack(b, &rows->groups[0], &group) == 0) {
		if (g->last_ancestor)
			g->last_ancestor->parent = group;
		else
			g->ancestors = group;
		g->last_ancestor = group;
		g->next_ancestor = rows->groups[0].parent;
		climb(g);
	} else {
		fail(g, "inputs_gone", "the group that it belongs to is no longer kept");
	}
	inputs_settle(b);
}

static void climb(struct gathering *g)
{
	struct broker *b = g->broker;
	struct job *job = job_of(g);
	struct group *here;

	if (!job)
		return;
	here = g->next_ancestor ? engine_group_at(b->engine, g->next_ancestor) : NULL;
	if (g->next_ancestor && !here) {
		if (!b->store ||
		    store_read_sequence(b->store, g->next_ancestor, on_ancestor, g, &g->read) < 0)
			fail(g, "inputs_gone", "the group that it belongs to is no longer kept");
		return;
	}
	if (g->last_ancestor)
		g->last_ancestor->parent = here;
	begin(g, job, g->ancestors ? g->ancestors : here);
}

bool inputs_take(struct broker *b, const struct job *job, struct span args)
{
	const struct group *group = job->extra ? job->extra->group : NULL;
	uint64_t lost = job->extra && !group ? job->extra->lost_group : 0;
	struct gathering *g;
	struct refusal r;
	json_t *tree;

	if (args.size == 0 || (!chain_around(group) && !lost) || !references_possible(args))
		return false;
	tree = json_loadb(args.data, args.size, 0, NULL);
	g = gathering_new(b, job, args);
	if (tree && references_visit(tree, want, g, &r) < 0)
		log_debug("a job's references can't be read: %s", r.message);
	json_decref(tree);
	if (list_empty(&g->missing)) {
		gathering_free(g);
		return false;
	}
	g->next_ancestor = lost;
	if (lost)
		climb(g);
	else
		begin(g, job, group);
	return true;
}

bool inputs_settle(struct broker *b)
{
	bool any = false;
	struct list *node;

	while ((node = list_pop_front(&b->groups->failing))) {
		struct gathering *g = gathering_at(node);
		const struct attempt_result result = { .token = g->token,
						       .outcome = OUTCOME_FAILED,
						       .code = span_of(g->code),
						       .message = span_of(g->message) };
		struct job *job;

		any = true;
		if (engine_find(broker_engine(b), &g->id, &job) == 0 && job->token == g->token &&
		    engine_result(b->engine, job->slot, &result) == -ENOMEM)
			log_error("an attempt without inputs can't be ended for want of memory");
		gathering_free(g);
	}
	return any;
}
