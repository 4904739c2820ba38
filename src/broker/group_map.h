/*
 * group_map.h — the members of maps: one template, a list of values, arguments made of both when a member's turn comes.
 *
 * What is needed for it is read from the group's spec, once, and kept while the map runs: so it is the same after a
 * restart.
 */
#pragma once
#include "group_desk.h"
#include "group_form.h"

struct group_desk {
	struct map watched;              /* struct watched by sequence */
	struct list dirty;               /* of them */
	struct map sources;              /* struct map_source by sequence */
	struct list gatherings, failing; /* struct gathering: of inputs, group_inputs.c */
};
struct gathering;
struct gathering *gathering_at(struct list *node);
void gathering_free(struct gathering *g);

void map_sources_init(struct group_desk *desk);
void map_sources_done(struct group_desk *desk);
void map_source_forget(struct broker *b, uint64_t sequence);

/* Check each member that the map would make. -EINVAL with `r` filled. */
int map_check(struct broker *b, const struct group_form *form, const struct form_place *outer,
	      struct refusal *r) GA_MUST_CHECK;
