/*
 * ledger.h — the outside ledger: what was asked of the daemon, what it promised, and what really ran.
 *
 * A directory with three files of entries, each appended to by one kind of process: `promises` by who submits (an intent is
 * synced before the daemon hears of it), `starts` by the handlers inside the workers, `deaths` by who kills. Nothing in it
 * comes from the daemon's own books, so it can judge them. Times are CLOCK_MONOTONIC, ns, comparable between processes.
 */
#pragma once
#include <stdint.h>

enum ledger_kind {
	LEDGER_INTENT = 1, /* `number` is about to be submitted */
	LEDGER_PROMISE,    /* it was accepted, as job `id`; `attempt`: durability */
	LEDGER_REFUSED,    /* it was refused; `attempt`: the status */
	LEDGER_UNKNOWN,    /* the connection ended before an answer */
	LEDGER_DONE,       /* its success was told */
	LEDGER_START,      /* attempt `attempt` of job `id` runs in process `pid` */
	LEDGER_DEATH, /* process `pid` was killed after `number` (ns) and was gone at `time`; `attempt`: 1: a broker */
};

/* Flags of a submission: it has an idempotency key; it must never run twice. */
#define LEDGER_KEYED 1u
#define LEDGER_ONCE 2u

struct ledger_entry {
	uint64_t time;
	uint64_t number; /* of the submission, from 1; its arguments and its key say it */
	uint32_t kind;
	uint32_t pid;
	uint32_t attempt;
	uint32_t flags;
	uint8_t id[16];
};
_Static_assert(sizeof(struct ledger_entry) == 48, "tests/crash/Ledger.pm packs it");

/* The directory, to the handlers. */
#define LEDGER_VARIABLE "GATHER_TEST_LEDGER"
