/*
 * mail.h — what is under way between the broker, the supervisor and the workers of the simulated world.
 */
#pragma once
#include "engine.h"

enum letter_kind {
	LETTER_STARTED, /* supervisor -> broker */
	LETTER_LOST,
	LETTER_HELLO, /* worker -> broker */
	LETTER_RESULT,
	LETTER_FREED,
	LETTER_JOB, /* broker -> worker */
	LETTER_CANCEL,
	LETTER_ACK,
	LETTER_FORGET, /* an attempt that the broker doesn't know */
	LETTER_DRAIN,
};
struct letter {
	enum letter_kind kind;
	uint32_t slot;
	uint64_t incarnation, token;
	struct uuid id; /* JOB: and its class, its life, and whether it may run but once */
	uint64_t sequence;
	enum job_class job_class;
	unsigned life;
	int limit_key;
	bool once;
	struct attempt_result result;
	struct engine_death death;
};
struct mail {
	struct letter *letters;
	size_t first, count, size;
};
void mail_post(struct mail *mail, const struct letter *letter);
bool mail_take(struct mail *mail, struct letter *ret_letter);
void mail_clear(struct mail *mail);
void mail_done(struct mail *mail);
