#include "bytes.h"
#include <stdlib.h>
#include <string.h>

struct bytes *bytes_new(const void *data, size_t size)
{
	struct bytes *b;

	if (size > UINT32_MAX)
		return NULL;
	b = malloc(sizeof(*b) + size + 1);
	if (!b)
		return NULL;
	b->refs = 1;
	b->size = (uint32_t)size;
	if (size > 0)
		memcpy(b->data, data, size);
	b->data[size] = '\0';
	return b;
}

void bytes_unref(struct bytes *b)
{
	if (b && --b->refs == 0)
		free(b);
}
