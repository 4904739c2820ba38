/*
 * group_form.h — a group as its client wrote it, checked: {"gather": [job or group, ...], "return_exceptions": true}.
 *
 * What is written is read again when a stored group comes back (group_form_spec()): there a number stands for the array
 * of members, which are rows of their own. So what is taken today has to be taken tomorrow. Pure.
 */
#pragma once
#include "engine_groups.h"
#include "refusal.h"
#include <jansson.h>

struct buf;

/* Borrows from the object that it was read from. */
struct group_form {
	struct group_options options;
	const char *key; /* "gather", "wait", "chain" or "map" */
	uint32_t count;
	const json_t *members;         /* an array; NULL: a map, or a stored group */
	const json_t *template, *over; /* map: a job object, an array */
	const char *durability;        /* NULL: not said */
};

/* Whether a member is a group, not a job. */
bool group_form_is(const json_t *member);
/* One level of it; members aren't looked into. `stored`: it is a spec. */
int group_form_read(const json_t *object, bool stored, struct group_form *ret_form,
		    struct refusal *r) GA_MUST_CHECK;
/* All that is in it, at every level, but for a map's members that wait for their window: jobs, and groups with itself.
 * What isn't well-formed counts as a job. */
void group_form_count(const json_t *object, uint32_t *jobs, uint32_t *groups);
/* What is kept with it. -ENOMEM. */
int group_form_spec(const json_t *object, const struct group_form *form, struct buf *out) GA_MUST_CHECK;

/* Where a member stands: in which groups, the innermost first. */
struct form_place {
	const struct form_place *outer; /* NULL: the group is the top one */
	const struct group_form *form;
	const char *key; /* "chain", "over": as the client knows it */
	uint32_t member; /* PLACE_ALL: none, or each */
};
#define PLACE_ALL UINT32_MAX
/* Put "chain[2].gather[0]" in front of what a refusal names. -EINVAL. */
int refusal_at(struct refusal *r, const struct form_place *place);

/* Whether the arguments of a job there may refer to earlier results. */
bool place_is_in_chain(const struct form_place *place);
/* Check these references: each names a job that has ended before this one starts. */
int group_form_references(const json_t *args, const struct form_place *place,
			  struct refusal *r) GA_MUST_CHECK;

/* The arguments of a map's member: an object of `over` replaces members of the template's; any other value stands for
 * "{}" in its strings, as itself where the string is nothing else, or without any "{}" for the argument `only`. A new
 * reference. -EINVAL with `r` filled. */
int map_args(const json_t *template_args, const json_t *value, const char *only, json_t **ret_args,
	     struct refusal *r) GA_MUST_CHECK;
