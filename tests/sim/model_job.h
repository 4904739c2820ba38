/*
 * model_job.h — a job as the model sees it. Times are the world's.
 */
#pragma once
#include "engine.h"

/* What a store has to know of a job. */
struct face {
	enum job_state state;
	uint64_t token;
	unsigned attempts, failures, crashes, lives;
	bool cancelling;
};

struct model_job {
	struct uuid id;
	uint64_t sequence, client, tag;
	struct submission terms; /* as submitted, but for what it points to; times are the world's */
	int queue, key, unique, limit_key; /* which of them; keys: 0: none */
	struct face is, saved;             /* `saved`: with its last save; state 0: none yet */
	uint32_t slot;
	uint64_t group; /* its sequence; 0: none. Which member: terms.member */
	bool expiring, delivered, untold;
	bool doubtful;       /* RUNNING: restored, and its worker hasn't spoken */
	bool sent;           /* RUNNING: its dispatch was handed out */
	bool suspect, alone; /* alone: as of its dispatch */
	bool parked;         /* RUNNING: it has given its slot back */
	unsigned set;        /* of a suspect */
	bool args_away;
	size_t args_size;
	int64_t accepted_at, deadline; /* deadline 0: none, or it belonged to an earlier life */
	bool watched;                  /* its deadline: until it passes or the job has finished */
	int64_t due;                   /* SCHEDULED, RETRYING: when; finished: when it leaves */
	uint64_t proceeds;             /* ACCEPTED: once this batch is committed */
	uint64_t order;                /* among finished, or delivered, ones; from 1 */
	size_t result_size;            /* of the body */
};
