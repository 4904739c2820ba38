#include "buf.h"
#include "engine_groups.h"
#include "group_desk.h"
#include "group_map.h"
#include "json_slice.h"
#include <errno.h>
#include <stdlib.h>

/* A group while it is made: all of it, or engine_group_discard(). */
struct maker {
	struct broker *b;
	const struct submit_origin *origin;
	enum job_durability durability;
	struct refusal *r;
};

static int make_group(const struct maker *m, const json_t *object, struct span text,
		      const struct form_place *place, struct group *parent, struct group **ret_group);

int group_check_fields(const struct job_fields *f, const char *durability, struct refusal *r)
{
	if (f->key_size > 0)
		return refuse(r, 422, "bad_field", "idempotency_key",
			      "a member of a group takes no idempotency_key");
	if (f->unique)
		return refuse(r, 422, "bad_field", "unique", "a member of a group can't be unique");
	if (f->has_durability &&
	    (!durability || strcmp(durability, job_durability_name(f->durability)) != 0))
		return refuse(r, 422, "bad_field", "durability",
			      "a group and its members are kept alike: say \"durability\" of the whole");
	return 0;
}

static int find_args(const json_t *object, struct span text, struct span *ret_args, struct refusal *r)
{
	const json_t *args = json_object_get(object, "args");

	*ret_args = (struct span){ 0 };
	if (!args || json_object_size(args) == 0)
		return 0;
	*ret_args = json_member_text(text, SPAN("args"));
	return ret_args->size ? 0
			      : refuse(r, 422, "bad_field", "args",
				       "the key \"args\" takes no escapes: write it plainly");
}

static int prepare_job(const struct maker *m, const json_t *object, struct span text,
		       const struct form_place *place, struct job_fields *fields, struct prepared *p)
{
	const json_t *args = json_object_get(object, "args"), *name = json_object_get(object, "type");
	struct submit_origin origin = *m->origin;
	const struct job_type *type;
	struct span args_text;
	int error = group_check_fields(fields, job_durability_name(m->durability), m->r);

	if (error == 0)
		error = submit_type(m->b, span_of(json_string_value(name)), &type, m->r);
	if (error == 0)
		error = find_args(object, text, &args_text, m->r);
	if (error != 0)
		return error;
	origin.client = origin.tag = 0;
	origin.references = place_is_in_chain(place);
	fields->has_durability = true;
	fields->durability = m->durability;
	error = submit_prepare(m->b, type, fields, args_text, args, &origin, p, m->r);
	if (error == 0) {
		error = group_form_references(args, place, m->r);
		if (error < 0)
			prepared_done(p);
	}
	return error;
}

static int make_job(const struct maker *m, const json_t *object, struct span text,
		    const struct form_place *place, struct group *group)
{
	struct job_fields fields;
	struct prepared p;
	struct job *job;
	int error;

	if (!json_is_object(object))
		return refuse(m->r, 422, "bad_job", "",
			      "a member is a job like {\"type\": \"noop\"}, or a group");
	if (!json_object_get(object, "type"))
		return refuse(
			m->r, 422, "missing_field", "type",
			"type is missing: a member is a job like {\"type\": \"noop\"}, or a group");
	error = fields_read(object, true, &fields, m->r);
	if (error < 0)
		return error;
	error = prepare_job(m, object, text, place, &fields, &p);
	if (error == 0) {
		p.s.group = group;
		p.s.member = place->member;
		p.s.blocked = p.s.exempt = true;
		error = engine_submit(m->b->engine, &p.s, &job);
		prepared_done(&p);
		if (error < 0)
			error = submit_refuse(m->b, error, m->r);
	}
	fields_done(&fields);
	return error;
}

static int make_members(const struct maker *m, const struct group_form *form, struct span text,
			const struct form_place *outer, struct group *group)
{
	struct span rest = json_member_text(text, span_of(form->key));
	int error = 0;

	if (rest.size == 0)
		return refuse(m->r, 422, "bad_field", form->key,
			      "the key \"%s\" takes no escapes: write it plainly", form->key);
	for (uint32_t i = 0; error == 0 && i < form->count; i++) {
		const struct form_place place = { outer, form, form->key, i };
		const json_t *member = json_array_get(form->members, i);
		struct span member_text = json_next_element(&rest);
		struct group *inner;

		if (group_form_is(member)) {
			error = make_group(m, member, member_text, &place, group, &inner);
		} else {
			error = make_job(m, member, member_text, &place, group);
			if (error < 0)
				refusal_at(m->r, &place);
		}
	}
	return error;
}

/* What is kept with it. A map's members are made later, by what was asked for now. */
static struct bytes *spec_of(const struct maker *m, const json_t *object, const struct group_form *form)
{
	json_t *template = NULL, *changed = NULL;
	struct group_form f = *form;
	struct bytes *spec = NULL;
	struct buf text = BUF_INIT;

	if (form->template && m->origin->waits && !json_object_get(form->template, "retries")) {
		template = json_copy((json_t *)(uintptr_t)form->template);
		json_object_set_new(template, "retries", json_integer(0));
		changed = json_copy((json_t *)(uintptr_t)object);
		json_object_set_new(changed, "map", template);
	}
	if (group_form_spec(changed ? changed : object, &f, &text) == 0)
		spec = bytes_new(buf_data(&text), buf_size(&text));
	buf_done(&text);
	json_decref(changed);
	return spec;
}

static int make_inside(const struct maker *m, const json_t *object, const struct group_form *form,
		       struct span text, const struct form_place *place, struct group *parent,
		       struct group **ret_group)
{
	const struct group_submission s = { .options = form->options,
					    .durability = m->durability,
					    .count = form->count,
					    .spec = spec_of(m, object, form),
					    .parent = parent,
					    .member = parent ? place->member : 0 };
	int error = s.spec ? engine_group_new(m->b->engine, &s, ret_group) : -ENOMEM;

	bytes_unref(s.spec);
	if (error < 0)
		return submit_refuse(m->b, error, m->r);
	return form->members ? make_members(m, form, text, place, *ret_group)
			     : map_check(m->b, form, place, m->r);
}

static int make_group(const struct maker *m, const json_t *object, struct span text,
		      const struct form_place *place, struct group *parent, struct group **ret_group)
{
	const char *durability = job_durability_name(m->durability);
	struct group_form form;

	if (group_form_read(object, false, &form, m->r) < 0)
		return place ? refusal_at(m->r, place) : -EINVAL;
	if (parent && form.durability && strcmp(form.durability, durability) != 0) {
		refuse(m->r, 422, "bad_field", "durability",
		       "a group is kept as the one that it is in: say \"durability\" of the whole");
		return refusal_at(m->r, place);
	}
	form.durability = durability;
	return make_inside(m, object, &form, text, place, parent, ret_group);
}

static int check_room(const struct maker *m, const json_t *object, struct span text)
{
	uint32_t jobs = 0, groups = 0;
	int error;

	group_form_count(object, &jobs, &groups);
	if (jobs + groups - 1 > GROUP_MEMBERS_MAX)
		return refuse(m->r, 413, "group_too_large", "",
			      "%u jobs and groups are in it: a group has at most %u in all",
			      jobs + groups - 1, GROUP_MEMBERS_MAX);
	error = engine_room(m->b->engine, jobs, text.size);
	return error < 0 ? submit_refuse(m->b, error, m->r) : 0;
}

int group_submit(struct broker *b, const json_t *object, struct span text,
		 const struct submit_origin *origin, struct group **ret_group, struct refusal *r)
{
	struct maker m = { .b = b, .origin = origin, .r = r };
	struct group_form form;
	struct group *group = NULL;
	int error = group_form_read(object, false, &form, r);

	broker_engine(b);
	if (error == 0)
		error = submit_durability(b, form.durability, origin->waits, &m.durability, r);
	if (error == 0)
		error = check_room(&m, object, text);
	if (error == 0)
		error = make_group(&m, object, text, NULL, NULL, &group);
	if (error < 0) {
		if (group)
			engine_group_discard(b->engine, group);
		return error;
	}
	engine_group_start(b->engine, group);
	*ret_group = group;
	return 0;
}
