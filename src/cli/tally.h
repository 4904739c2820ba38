/*
 * tally.h — how many jobs of one command ended how; the progress line and the summary are made of it.
 */
#pragma once
#include "cli.h"
#include "latency.h"

#define TALLY_KINDS 24

struct tally {
	uint64_t ok, failed;
	uint64_t unsaved; /* among ok: their body could not be written to disk */
	uint64_t total;   /* 0: unknown */
	double fraction;  /* done of the whole, if total is unknown; 0: unknown too */
	int64_t start, shown;
	const char *ok_word, *failed_word;
	struct tally_kind {
		char name[64];
		uint64_t count;
	} kinds[TALLY_KINDS]; /* of failures; the last one takes what finds no room */
	size_t kind_count;
	struct latencies latencies; /* of jobs that ran, from handing over to the result */
};

void tally_start(struct tally *t, uint64_t total);
void tally_add(struct tally *t, const struct ga_client_event *e, int64_t took_ns);
/* Draw the progress line if a tenth of a second has passed since the last time. */
void tally_progress(struct tally *t, int64_t now);
/* "10000 done  9981 ok  19 failed (12 timeout, 7 http 503)  51 s  p50 482 ms  p99 1.2 s" */
void tally_write(const struct tally *t, int64_t now, struct strbuf *out);
/* The progress line's text, at most `width` columns. */
void tally_line(const struct tally *t, int64_t now, unsigned width, struct strbuf *out);
