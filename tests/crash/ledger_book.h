/*
 * ledger_book.h — the whole ledger in memory, by submission and by job, and what in it contradicts itself.
 */
#pragma once
#include "compiler.h"
#include "ledger_file.h"
#include "map.h"
#include <stdbool.h>

struct book_job {
	uint8_t id[16];
	uint64_t number; /* of its submission; 0: nobody's */
	bool promised, succeeded;
	unsigned listed;       /* by the daemon */
	unsigned attempts;     /* says the daemon */
	unsigned starts;       /* that were seen */
	unsigned last_attempt; /* that was seen to start */
	uint64_t done_at;      /* when its success was told; 0: not yet */
	const struct ledger_entry *last_start;
};

struct book_submission {
	bool intended, keyed, once, promised, unknown;
	struct book_job *job; /* NULL: none yet */
};

struct book {
	struct map jobs;                     /* struct book_job, by id */
	struct book_submission *submissions; /* by number */
	uint64_t submission_count;
	struct ledger_entry *promises, *starts, *deaths;
	size_t promise_count, start_count, death_count;
	uint64_t promised, done, unknown, refused, repeated;
	uint64_t reruns_by_worker,
		reruns_by_broker; /* explained by the death of its worker, or only by a broker's */
	unsigned wrong;
};

/* Read a ledger and check all that needs no daemon. */
void book_read(struct book *b, const char *directory);
/* The job of this id; made if it is new. */
struct book_job *book_job(struct book *b, const uint8_t id[16]);
/* What was submitted under this number is this job: nobody asks twice without a key. */
void book_join(struct book *b, struct book_job *job, uint64_t number);
void book_wrong(struct book *b, const char *format, ...) GA_PRINTF(2, 3);
void book_print(const struct book *b);
