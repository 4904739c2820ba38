/*
 * reference.h — references to earlier results in the arguments of a chain's jobs: finding them, filling them in.
 *
 * {"$ref": "0#/json/token"} stands for a value, "{{0#/json/token}}" for a part of a string. In front of the '#' is whose
 * result is meant: a place in the chain that the job stands in, counted from 0; "2/0" is the first member of the group at
 * place 2, "../0" a member of the next chain further out. Behind it is a JSON Pointer (RFC 6901) into that result as a
 * document: the members of its metadata, and "meta" (all of them), "body" (as text; "body_base64" if it isn't), "json"
 * (the body parsed, if it is JSON).
 *
 * The door checks that each names an earlier member. The broker sends the results that are named ("inputs") along with the
 * job, and the worker fills in. Pure.
 */
#pragma once
#include "refusal.h"
#include "span.h"
#include <jansson.h>

struct reference {
	struct span whose, pointer;
};

/* The text between quotes or braces. -EINVAL: it is none. */
int reference_parse(struct span text, struct reference *ret_reference) GA_MUST_CHECK;
/* Whether the value is {"$ref": ...}, or a string with a reference in it. */
bool reference_is(const json_t *value);
bool reference_within(const json_t *value);
/* Whether JSON text might have any: cheap, and never wrong when it says no. */
bool references_possible(struct span text);

/* Visit each reference in the arguments, with the place ("args.headers") that it stands in. Ends at the first visit below
 * 0, with that. -EINVAL with `r` filled: {"$ref": ...} isn't followed by a reference. */
typedef int (*reference_fn)(void *arg, const struct reference *reference, const char *field,
			    struct refusal *r);
int references_visit(const json_t *args, reference_fn visit, void *arg, struct refusal *r) GA_MUST_CHECK;

/* The value at a pointer (borrowed); NULL: there is none. */
json_t *reference_resolve(const json_t *document, struct span pointer);

/* One result as an element of `inputs`; a NULL or empty one counts as none. A new reference; NULL: no memory. */
json_t *reference_input(struct span meta, struct span body);
/* Fill in: `args` is changed (or replaced) in place, `inputs` is an object of reference_input() by `whose`. -EINVAL with
 * `r` filled: there is no such value, or the arguments become larger than REFERENCE_BYTES_MAX. */
#define REFERENCE_BYTES_MAX (2u << 20)
int references_fill(json_t *args, const json_t *inputs, struct refusal *r) GA_MUST_CHECK;
