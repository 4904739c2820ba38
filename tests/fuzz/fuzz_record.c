/*
 * fuzz_record.c — any bytes decode to records or to an error, never to a crash; what decodes encodes to the same bytes.
 */
#include "record.h"
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every byte of every run must be readable. */
static void check_again(const struct record *r, struct span taken)
{
	struct buf out = BUF_INIT;

	if (record_size(r) != taken.size || record_put(&out, r) < 0 || !buf_data(&out) ||
	    !span_equal(taken, (struct span){ buf_data(&out), buf_size(&out) }))
		abort();
	buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span input = { (const char *)data, size };
	const char *why = NULL;
	struct record r;
	int result;

	do {
		struct span before = input;

		result = record_next(&input, &r, &why);
		if (result == 1)
			check_again(&r, (struct span){ before.data, before.size - input.size });
		else if (input.data != before.data || input.size != before.size)
			abort();
		if ((result == -EPROTO) != (why != NULL))
			abort();
	} while (result == 1);
	if (result != 0 && result != -EPROTO)
		abort();
	return 0;
}
