/*
 * What base promises for a failed allocation: -ENOMEM or NULL, and nothing changed.
 * The linker gives this program's allocations to the functions below (--wrap).
 */
#include "buf.h"
#include "bytes.h"
#include "heap.h"
#include "map.h"
#include "tap_main.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

static bool memory_is_out;

void *__wrap_malloc(size_t size)
{
	return memory_is_out ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return memory_is_out ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return memory_is_out ? NULL : __real_realloc(old, size);
}

static void a_heap_keeps_its_nodes(void **state)
{
	struct heap_node nodes[200] = { { 0 } };
	uint32_t held = 0;
	struct heap h;
	int r = 0;

	(void)state;
	heap_init(&h);
	while (held < 64 && heap_set(&h, &nodes[held], (int64_t)held) == 0)
		held++;
	memory_is_out = true;
	while (held < 200 && (r = heap_set(&h, &nodes[held], -1)) == 0)
		held++;
	memory_is_out = false;
	assert_int_equal(r, -ENOMEM);
	assert_false(heap_holds(&nodes[held]));
	for (uint32_t i = 0; i < held; i++)
		assert_ptr_equal(heap_pop_due(&h, 1000), &nodes[i]);
	assert_null(heap_pop_due(&h, 1000));
	heap_done(&h);
}

static bool same(const void *item, const void *key)
{
	return item == key;
}

static void a_map_keeps_its_items(void **state)
{
	char items[100];
	size_t held = 10;
	struct map m;
	int r = 0;

	(void)state;
	map_init(&m, same);
	for (size_t i = 0; i < held; i++)
		assert_int_equal(map_put(&m, i, &items[i]), 0);
	memory_is_out = true;
	while (held < 100 && (r = map_put(&m, held, &items[held])) == 0)
		held++;
	memory_is_out = false;
	assert_int_equal(r, -ENOMEM);
	for (size_t i = 0; i < 100; i++)
		assert_ptr_equal(map_get(&m, i, &items[i]), i < held ? &items[i] : NULL);
	map_done(&m);
}

static void buffers_keep_their_content(void **state)
{
	struct buf b = BUF_INIT;
	char text[1000];
	int append, print;
	char *room;
	void *bytes;

	(void)state;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(buf_append_text(&b, "-kept"), 0);
	buf_consume(&b, 1);
	memory_is_out = true;
	append = buf_append(&b, text, sizeof(text));
	print = buf_printf(&b, "%s", text);
	room = buf_reserve(&b, sizeof(text));
	bytes = bytes_new("x", 1);
	memory_is_out = false;
	assert_int_equal(append, -ENOMEM);
	assert_int_equal(print, -ENOMEM);
	assert_null(room);
	assert_null(bytes);
	assert_int_equal(buf_size(&b), 4);
	assert_memory_equal(buf_data(&b), "kept", 4);
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_heap_keeps_its_nodes),
		cmocka_unit_test(a_map_keeps_its_items),
		cmocka_unit_test(buffers_keep_their_content),
	};

	return TAP_RUN(tests);
}
