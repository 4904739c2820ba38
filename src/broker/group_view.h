/*
 * group_view.h — a group, and what its members gave, as JSON text for people and programs.
 */
#pragma once
#include "broker.h"
#include "job_facts.h"

struct group;

/* How it ended, if that was told; else RUNNING or BLOCKED. */
enum job_state group_told_state(const struct group *group);
/* All but the members, as members of an open object. */
void group_view_members(struct broker *b, const struct group *group, struct buf *out);
void group_view_ack(const struct group *group, struct buf *out);

/* One member's result, as an object that starts with "index". A body of more than inline_max bytes is left out
 * ("body_bytes"). */
void result_view_job(const struct job_facts *f, uint32_t index, size_t inline_max, struct buf *out);
/* A member that is a group, with its members' results inside if they are all in memory and take no more than inline_max
 * bytes; else "results_left_out" says how many there are. */
void result_view_group(struct broker *b, const struct group *group, uint32_t index,
		       size_t inline_max, struct buf *out);
/* A member of which nothing is kept but its outcome (0: not even that). */
void result_view_gone(enum job_state outcome, uint32_t index, struct buf *out);
