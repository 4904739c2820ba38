/*
 * record_kind.h — the kinds of records: part of record.h. The numbers travel: they are never reused.
 */
#pragma once

enum record_kind {
	/* broker <-> worker */
	RECORD_HELLO = 1,    /* worker: here I am, this I can, this I hold */
	RECORD_WELCOME,      /* broker: its epoch, and each held attempt's fate */
	RECORD_JOB,          /* broker: run this attempt */
	RECORD_RESULT,       /* worker: it ended so; kept until acknowledged */
	RECORD_RESULT_ACK,   /* broker: these results are safe */
	RECORD_CANCEL,       /* broker: end this attempt */
	RECORD_DRAIN,        /* broker: finish what you hold, return what you haven't begun */
	RECORD_SLOT_FREED,   /* worker: an abandoned attempt has ended after all */
	RECORD_PROGRESS,     /* worker: how far an attempt is, and what it logs */
	RECORD_JOB_INPUTS,   /* broker: a JOB, with the results that its arguments refer to */
	RECORD_CHILD,        /* worker: a job that belongs to this attempt */
	RECORD_CHILD_END,    /* broker: it has ended, or was refused */
	RECORD_CHILD_CANCEL, /* worker: its end is asked for */
	RECORD_PARK,   /* worker: the attempt waits for its children alone: its slot is free */
	RECORD_UNPARK, /* worker: it goes on */
	/* client <-> broker */
	RECORD_SUBMIT = 32, /* client: a job */
	RECORD_ACCEPTED,    /* broker: its id */
	RECORD_REFUSED,     /* broker: why not */
	RECORD_FINISHED,    /* broker: its result, pushed */
	RECORD_ABORT,       /* client: cancel the job with this tag */
	RECORD_REQUEST,     /* client: any other verb, as method, target and body */
	RECORD_RESPONSE,    /* broker: its answer */
};
