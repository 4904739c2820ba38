/*
 * store_check.h — open a store, and compare all that it holds with what a scenario says it must hold.
 */
#pragma once
#include "history.h"
#include "scenario.h"

enum verdict {
	VERDICT_KEPT,
	VERDICT_UNOPENABLE,
	VERDICT_LOST,  /* a batch that was promised to last is missing */
	VERDICT_WRONG, /* it holds something else than any number of whole batches */
	VERDICT_COUNT
};
extern const char *const verdict_names[VERDICT_COUNT];

/* The store in `directory` after a loss of power at the point that `h` has come to, at this time of the log. Afterwards
 * it is one batch further if `go_on`: committed, closed and seen again. */
enum verdict store_check(const char *directory, uint64_t seed, const struct history *h,
			 uint64_t time, bool go_on, char *ret_why, size_t why_size);

/* The options that all stores of the battery are opened with. */
struct store_options store_check_options(const char *directory);
/* If this is the document that tells the last batch, the batch. */
int store_take_last(const struct store_document *document, uint32_t *ret_batch);
/* Load the store for that alone. */
int store_last_batch(struct store *s, uint32_t *ret_batch);
/* Save the changes of the scenario's last batch. */
int store_save_step(const struct scenario *s, struct store_batch *batch,
		    struct scenario_texts *texts, struct scenario_members *members);
