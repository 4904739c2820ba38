#include "tally.h"
#include "output.h"
#include "period.h"
#include "results.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHOW_EVERY_NS INT64_C(100000000)
#define BAR_MAX 40
#define QUANTILES_MIN 100 /* jobs; the p99 of fewer is just the slowest one */

void tally_start(struct tally *t, uint64_t total)
{
	*t = (struct tally){
		.total = total, .start = ga_client_now(), .ok_word = "ok", .failed_word = "failed"
	};
}

static void count_kind(struct tally *t, const char *kind)
{
	size_t i = 0;

	while (i < t->kind_count && strcmp(t->kinds[i].name, kind) != 0)
		i++;
	if (i >= TALLY_KINDS - 1) {
		i = TALLY_KINDS - 1;
		kind = "other";
	}
	if (i >= t->kind_count) {
		snprintf(t->kinds[i].name, sizeof(t->kinds[i].name), "%s", kind);
		t->kind_count = i + 1;
	}
	t->kinds[i].count++;
}

void tally_add(struct tally *t, const struct ga_client_event *e, int64_t took_ns)
{
	char kind[64];

	if (e->kind == GA_EVENT_FINISHED)
		latency_add(&t->latencies, took_ns);
	if (event_ok(e)) {
		t->ok++;
		return;
	}
	t->failed++;
	event_kind(e, kind);
	count_kind(t, kind);
}

void tally_progress(struct tally *t, int64_t now)
{
	struct strbuf line = { 0 };

	if (now - t->shown < SHOW_EVERY_NS || !progress_possible())
		return;
	t->shown = now;
	tally_line(t, now, progress_width(), &line);
	progress_line(sb_string(&line));
	sb_free(&line);
}

static void put_bar(double fraction, unsigned width, struct strbuf *out)
{
	unsigned full = (unsigned)(fraction * width);

	sb_char(out, '[');
	for (unsigned i = 0; i < width; i++)
		sb_char(out, i < full ? '#' : '.');
	sb_text(out, "] ");
}

void tally_line(const struct tally *t, int64_t now, unsigned width, struct strbuf *out)
{
	uint64_t done = t->ok + t->failed;
	double seconds = (double)(now - t->start) / 1e9;
	double fraction = t->total ? (double)done / (double)t->total : t->fraction;
	size_t start = out->size;
	struct strbuf text = { 0 };
	char left[32];

	if (fraction > 1)
		fraction = 1;
	sb_printf(&text, "%" PRIu64, done);
	if (t->total)
		sb_printf(&text, "/%" PRIu64, t->total);
	if (fraction > 0)
		sb_printf(&text, "  %.0f%%", fraction * 100);
	if (seconds > 0.2)
		sb_printf(&text, "  %.*f/s", done < 100 * seconds, (double)done / seconds);
	if (fraction > 0 && fraction < 1 && seconds > 0.5)
		sb_printf(&text, "  ETA %s",
			  period_show((int64_t)(seconds * (1 / fraction - 1) * 1e9), left));
	if (t->failed)
		sb_printf(&text, "  %" PRIu64 " failed", t->failed);
	if (fraction > 0 && width > text.size + 14) {
		size_t bar = width - text.size - 4;

		put_bar(fraction, bar < BAR_MAX ? (unsigned)bar : BAR_MAX, out);
	}
	sb_put(out, text.data, text.size);
	if (out->size - start >= width)
		out->size = start + (width ? width - 1 : 0);
	sb_free(&text);
}

static void put_quantile(const struct tally *t, const char *name, double share, struct strbuf *out)
{
	char time[32];

	sb_printf(out, "  %s %s", name, period_show_fine(latency_quantile(&t->latencies, share), time));
}

static int by_count(const void *a, const void *b)
{
	const struct tally_kind *one = a, *other = b;

	if (one->count != other->count)
		return one->count > other->count ? -1 : 1;
	return strcmp(one->name, other->name);
}

/* The most frequent first, whatever failed first. */
static void put_kinds(const struct tally *t, struct strbuf *out)
{
	struct tally_kind kinds[TALLY_KINDS];

	memcpy(kinds, t->kinds, sizeof(kinds));
	qsort(kinds, t->kind_count, sizeof(kinds[0]), by_count);
	for (size_t i = 0; i < t->kind_count; i++)
		sb_printf(out, "%s%" PRIu64 " %s", i ? ", " : "", kinds[i].count, kinds[i].name);
}

void tally_write(const struct tally *t, int64_t now, struct strbuf *out)
{
	char time[32];

	sb_printf(out, "%" PRIu64 " done  %" PRIu64 " %s", t->ok + t->failed, t->ok, t->ok_word);
	if (t->failed)
		sb_printf(out, "  %" PRIu64 " %s (", t->failed, t->failed_word);
	put_kinds(t, out);
	sb_printf(out, "%s  %s", t->failed ? ")" : "", period_show(now - t->start, time));
	if (t->latencies.count >= QUANTILES_MIN) {
		put_quantile(t, "p50", 0.5, out);
		put_quantile(t, "p99", 0.99, out);
	}
	sb_char(out, '\n');
}
