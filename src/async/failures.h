/*
 * failures.h — what a group failed with: a tree, as groups nest.
 *
 * Reference counted: a task holds those of its last group, and each tree those of the groups inside. One thread.
 */
#pragma once
#include <gather/group.h>
#include <stdint.h>

struct failures {
	uint32_t refs;
	int error; /* what the group's exit returned */
	size_t count;
	struct ga_failure entries[];
};

/* Room for `count`, with one reference, or NULL. The caller fills the entries in. */
struct failures *failures_new(size_t count, int error);
struct failures *failures_ref(struct failures *f); /* NULL is handed through */
void failures_unref(struct failures *f);           /* NULL is a no-op */
/* Hang `inner` (NULL: none) below an entry, which takes a reference. */
void failures_nest(struct ga_failure *entry, struct failures *inner);
