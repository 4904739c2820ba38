/*
 * fuzz_cron.c — any text is a cron expression or a complaint; an expression's next time comes, is later, and it fits.
 */
#include "clock.h"
#include "cron.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const zones[] = { "UTC", "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia" };

static struct zone *zone_at(size_t i)
{
	static struct zone *open[ARRAY_SIZE(zones)];

	if (!open[i] && zone_open(zones[i], &open[i]) < 0)
		abort();
	return open[i];
}

static void check(const struct cron *c, const struct zone *z, int64_t after)
{
	for (int i = 0; i < 4; i++) {
		int64_t next;

		if (cron_next(c, z, after, &next) < 0) {
			/* Only from where 50 years lead out of range. */
			if (after >= 0 && after < INT64_MAX / 2)
				abort();
			return;
		}
		/* Whole minutes, but for zones that were once off by seconds. */
		if (next <= after ||
		    (next % (60 * NSEC_PER_SEC) != 0 && after > INT64_C(100000000) * NSEC_PER_SEC))
			abort();
		after = next;
	}
}

/* Eight bytes of an instant, one of a zone, and the expression. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char why[CRON_WHY_SIZE] = "";
	struct cron cron;
	int64_t after;

	if (size < 9)
		return 0;
	char *text = calloc(1, size - 8);

	if (!text)
		return 0;
	memcpy(&after, data, sizeof(after));
	memcpy(text, data + 9, size - 9);
	if (cron_parse(text, &cron, why, sizeof(why)) == 0)
		check(&cron, zone_at(data[8] % ARRAY_SIZE(zones)), after);
	else if (!why[0])
		abort();
	free(text);
	return 0;
}
