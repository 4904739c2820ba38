#include "group_map.h"
#include "engine_groups.h"
#include "keep.h"
#include "log.h"
#include <errno.h>
#include <stdlib.h>

/* How a map's members are made. */
struct map_source {
	uint64_t sequence;
	json_t *object; /* the spec; `form` points into it */
	struct group_form form;
	const struct job_type *type;
	struct job_fields fields;
	const json_t *args; /* the template's, or NULL */
	const char *only;   /* the argument that a bare value is for; NULL: none */
};

static bool source_matches(const void *item, const void *key)
{
	return ((const struct map_source *)item)->sequence == *(const uint64_t *)key;
}

void map_sources_init(struct group_desk *desk)
{
	map_init(&desk->sources, source_matches);
}

static void source_done(struct map_source *s)
{
	fields_done(&s->fields);
	json_decref(s->object);
}

void map_sources_done(struct group_desk *desk)
{
	struct map_source *s;

	while ((s = map_take_any(&desk->sources))) {
		source_done(s);
		free(s);
	}
	map_done(&desk->sources);
}

void map_source_forget(struct broker *b, uint64_t sequence)
{
	struct map_source *s = map_take(&b->groups->sources, sequence, &sequence);

	if (!s)
		return;
	source_done(s);
	free(s);
}

/* The one argument that the type requires and the template doesn't give. */
static const char *only_argument(const struct job_type *type, const json_t *args)
{
	const char *only = NULL;

	for (size_t i = 0; i < type->param_count; i++) {
		const char *name = type->params[i].name;

		if (!(type->required >> i & 1) || json_object_get(args, name))
			continue;
		if (only)
			return NULL;
		only = name;
	}
	return only;
}

/* All but `object` and `sequence`, from the form. */
static int source_read(struct broker *b, struct map_source *s, struct refusal *r)
{
	const json_t *name = json_object_get(s->form.template, "type");
	int error;

	s->args = json_object_get(s->form.template, "args");
	if (!json_is_string(name))
		return refuse(r, 422, "missing_field", "type",
			      "type is missing: a job is an object like {\"type\": \"noop\"}");
	error = fields_read(s->form.template, true, &s->fields, r);
	if (error < 0)
		return error;
	error = submit_type(b, span_of(json_string_value(name)), &s->type, r);
	if (error < 0)
		fields_done(&s->fields);
	else
		s->only = only_argument(s->type, s->args);
	return error;
}

static int check_member(const struct map_source *s, uint32_t member,
			const struct form_place *template, struct refusal *r)
{
	json_t *args;
	int error = map_args(s->args, json_array_get(s->form.over, member), s->only, &args, r);

	if (error < 0)
		return error;
	error = place_is_in_chain(template) ? type_check_template(s->type, args, r)
					    : type_check_args(s->type, args, r);
	if (error == 0)
		error = group_form_references(args, template, r);
	json_decref(args);
	return error;
}

int map_check(struct broker *b, const struct group_form *form, const struct form_place *outer,
	      struct refusal *r)
{
	const struct form_place template = { outer, form, "map", PLACE_ALL };
	struct map_source s = { .form = *form };

	if (source_read(b, &s, r) < 0 || group_check_fields(&s.fields, form->durability, r) < 0)
		return refusal_at(r, &template);
	int error = 0;

	for (uint32_t i = 0; error == 0 && i < form->count; i++) {
		error = check_member(&s, i, &template, r);
		if (error < 0)
			refusal_at(r, &(struct form_place){ outer, form, "over", i });
	}
	fields_done(&s.fields);
	return error;
}

/* ---- at work ---- */

static int source_open(struct broker *b, const struct group *g, struct map_source *s, struct refusal *r)
{
	struct span spec = { g->spec ? g->spec->data : "", g->spec ? g->spec->size : 0 };
	int error;

	s->object = json_loadb(spec.data, spec.size, 0, NULL);
	if (!s->object)
		return refuse(r, 500, "bad_spec", "", "the map's template can't be read");
	error = group_form_read(s->object, true, &s->form, r);
	if (error == 0)
		error = source_read(b, s, r);
	if (error < 0)
		json_decref(s->object);
	return error;
}

static struct map_source *source_of(struct broker *b, const struct group *g, struct refusal *r)
{
	struct map_source *s = map_get(&b->groups->sources, g->sequence, &g->sequence);

	if (s)
		return s;
	s = calloc(1, sizeof(*s));
	if (!s || source_open(b, g, s, r) < 0) {
		free(s);
		return NULL;
	}
	s->sequence = g->sequence;
	if (map_put(&b->groups->sources, s->sequence, s) < 0) {
		source_done(s);
		free(s);
		return NULL;
	}
	return s;
}

static bool is_in_chain(const struct group *g)
{
	while (g && g->options.kind != GROUP_CHAIN)
		g = g->parent;
	return g;
}

static int make_member(struct broker *b, struct group *g, struct refusal *r)
{
	const struct submit_origin origin = { .references = is_in_chain(g) };
	struct map_source *s = source_of(b, g, r);
	struct prepared p;
	struct job *job;
	json_t *args;
	int error;

	if (!s)
		return -EINVAL;
	error = map_args(s->args, json_array_get(s->form.over, g->made), s->only, &args, r);
	if (error < 0)
		return error;
	char *text = json_dumps(args, JSON_COMPACT);

	s->fields.has_durability = true;
	s->fields.durability = (enum job_durability)g->durability;
	error = text ? submit_prepare(b, s->type, &s->fields, span_of(text), args, &origin, &p, r)
		     : refuse(r, 503, "no_memory", "", "the daemon is out of memory");
	free(text);
	json_decref(args);
	if (error < 0)
		return error;
	p.s.group = g;
	p.s.member = g->made;
	p.s.exempt = true;
	error = engine_submit(b->engine, &p.s, &job);
	prepared_done(&p);
	return error < 0 ? submit_refuse(b, error, r) : 0;
}

bool groups_feed(struct broker *b)
{
	struct group *g;
	bool fed = false;

	if (b->draining || b->failed)
		return false;
	while ((g = engine_group_hungry(b->engine))) {
		struct refusal r = { .code = "no_memory", .message = "the daemon is out of memory" };

		/* What was accepted is never refused; it only waits for the disk. */
		if (g->durability != DURABILITY_MEMORY && keep_is_full(b))
			break;
		fed = true;
		if (make_member(b, g, &r) == 0)
			continue;
		log_warning("member %u of a map can't be made: %s", g->made, r.message);
		engine_group_skip(b->engine, g, span_of(r.code), span_of(r.message));
	}
	return fed;
}
