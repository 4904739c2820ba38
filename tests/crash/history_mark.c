#include "clock.h"
#include "history.h"
#include <err.h>
#include <string.h>
#include <unistd.h>

static void write_mark(int log, struct shim_record r, const void *data, size_t size)
{
	struct {
		struct shim_record r;
		uint8_t data[16];
	} all = { .r = r };

	all.r.op = SHIM_MARK;
	all.r.size = (uint32_t)(sizeof(r) + ((size + 7) & ~7ul));
	all.r.data_size = (uint32_t)size;
	all.r.time = (uint64_t)clock_monotonic();
	memcpy(all.data, data, size);
	if (write(log, &all, all.r.size) != (ssize_t)all.r.size)
		err(2, "the log");
}

void history_mark(int log, enum mark mark, uint32_t generation, uint32_t batch, uint8_t sync)
{
	write_mark(log, (struct shim_record){ .file = mark, .offset = generation, .length = batch },
		   &sync, 1);
}

void history_mark_id(int log, enum mark mark, const uint8_t id[16])
{
	write_mark(log, (struct shim_record){ .file = mark }, id, 16);
}
