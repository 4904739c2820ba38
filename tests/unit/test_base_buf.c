#include "buf.h"
#include "bytes.h"
#include "random.h"
#include "tap_main.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void an_empty_buffer_is_usable(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	assert_int_equal(buf_size(&b), 0);
	assert_null(buf_data(&b));
	assert_int_equal(buf_append(&b, NULL, 0), 0);
	buf_consume(&b, 0);
	assert_non_null(buf_reserve(&b, 0));
	buf_done(&b);
	buf_done(&b);
	assert_int_equal(buf_append_text(&b, "again"), 0);
	assert_memory_equal(buf_data(&b), "again", 5);
	buf_done(&b);
}

static void what_goes_in_comes_out_in_order(void **state)
{
	struct buf b = BUF_INIT;
	uint64_t in = 0, out = 0;
	struct random r;

	(void)state;
	random_seed(&r, 7);
	for (int step = 0; step < 20000; step++) {
		size_t take = random_below(&r, buf_size(&b) + 1), put = random_below(&r, 700);
		char *room = buf_reserve(&b, put);

		assert_non_null(room);
		for (size_t i = 0; i < put; i++)
			room[i] = (char)(in++ % 251);
		buf_grew(&b, put);
		for (size_t i = 0; i < take; i++)
			assert_int_equal((unsigned char)buf_data(&b)[i], (unsigned char)(out++ % 251));
		buf_consume(&b, take);
		assert_int_equal(buf_size(&b), in - out);
	}
	assert_in_range(b.size, 1, 1 << 20); /* what was consumed is reused */
	buf_done(&b);
}

static void printf_appends_texts_of_any_size(void **state)
{
	struct buf b = BUF_INIT;
	char text[1001];

	(void)state;
	for (size_t size = 0; size < sizeof(text); size++) {
		memset(text, 'x', size);
		text[size] = '\0';
		buf_clear(&b);
		assert_int_equal(buf_append_text(&b, "<"), 0);
		assert_int_equal(buf_printf(&b, "%s%c", text, '>'), 0);
		assert_int_equal(buf_size(&b), size + 2);
		assert_int_equal(buf_data(&b)[0], '<');
		assert_memory_equal(buf_data(&b) + 1, text, size);
		assert_int_equal(buf_data(&b)[size + 1], '>');
	}
	buf_done(&b);
}

static void a_size_beyond_memory_is_refused(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	assert_int_equal(buf_append_text(&b, "kept"), 0);
	assert_null(buf_reserve(&b, SIZE_MAX));
	assert_null(buf_reserve(&b, SIZE_MAX - 2));
	assert_null(buf_reserve(&b, SIZE_MAX / 2));
	assert_int_equal(buf_size(&b), 4);
	assert_memory_equal(buf_data(&b), "kept", 4);
	buf_done(&b);
}

static void bytes_live_until_the_last_reference(void **state)
{
	struct bytes *b = bytes_new("a\0b", 3), *same = bytes_ref(b), *empty = bytes_new(NULL, 0);

	(void)state;
	assert_ptr_equal(b, same);
	bytes_unref(b);
	assert_int_equal(same->size, 3);
	assert_memory_equal(same->data, "a\0b", 4); /* with the NUL behind */
	bytes_unref(same);
	assert_int_equal(empty->size, 0);
	assert_string_equal(empty->data, "");
	bytes_unref(empty);
	assert_null(bytes_ref(NULL));
	bytes_unref(NULL);
	assert_null(bytes_new("", (size_t)UINT32_MAX + 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_buffer_is_usable),
		cmocka_unit_test(what_goes_in_comes_out_in_order),
		cmocka_unit_test(printf_appends_texts_of_any_size),
		cmocka_unit_test(a_size_beyond_memory_is_refused),
		cmocka_unit_test(bytes_live_until_the_last_reference),
	};

	return TAP_RUN(tests);
}
