/*
 * Files that were cut, and bits that were flipped: a store opens with all that was committed, or it is refused with a
 * reason. Never anything else, and never a signal.
 */
#include "random.h"
#include "store_image.h"
#include <errno.h>
#include <string.h>

enum { FLIPS = 1200 };

static void images_that_nobody_touched_are_recovered(void **state)
{
	(void)state;
	recovered = 0;
	image_put(&crashed);
	try_it(&crashed, "crashed", 0);
	image_put(&closed);
	try_it(&closed, "closed", 0);
	assert_int_equal(recovered, 2);
}

static void truncate_everywhere(struct image *image, int file, size_t step)
{
	size_t size = image->size[file];

	for (size_t at = 0; at < size; at += step) {
		image->size[file] = at;
		image_put(image);
		image->size[file] = size;
		try_it(image, image_names[file], at);
	}
}

static void a_file_that_was_cut_is_noticed(void **state)
{
	(void)state;
	refused = recovered = 0;
	truncate_everywhere(&crashed, DB, 2048);
	truncate_everywhere(&crashed, WAL, 4120);
	truncate_everywhere(&crashed, MARK, 1);
	truncate_everywhere(&closed, DB, 2048);
	print_message("# %u refused, %u recovered\n", refused, recovered);
	assert_true(refused > 100); /* recovered: what was cut off stood in the log as well */
}

static void flip(struct image *image, int file, uint64_t bit)
{
	char *byte = &image->data[file][bit / 8];

	*byte = (char)(*byte ^ 1 << bit % 8);
	image_put(image);
	*byte = (char)(*byte ^ 1 << bit % 8);
	try_it(image, image_names[file], bit);
}

static void flip_many(struct image *image, int file, unsigned count, uint64_t seed)
{
	struct random random;

	random_seed(&random, seed);
	for (unsigned i = 0; i < count; i++)
		flip(image, file, random_below(&random, image->size[file] * 8));
}

static void a_bit_that_was_flipped_is_noticed_or_harmless(void **state)
{
	(void)state;
	refused = recovered = 0;
	flip_many(&crashed, DB, FLIPS / 3, 1);
	flip_many(&crashed, WAL, FLIPS / 3, 2);
	flip_many(&closed, DB, FLIPS / 3, 3);
	for (uint64_t bit = 0; bit < crashed.size[MARK] * 8; bit += 5)
		flip(&crashed, MARK, bit);
	for (uint64_t bit = 0; bit < 800; bit++) /* the header */
		flip(&closed, DB, bit);
	print_message("# %u refused, %u recovered\n", refused, recovered);
	assert_true(refused > FLIPS / 2);
}

/* Put an image with one byte changed wherever a text stands in its database. */
static void put_changed(const struct image *image, const char *text)
{
	size_t size = strlen(text), found = 0;

	for (size_t i = 0; i + size <= image->size[DB]; i++) {
		if (memcmp(image->data[DB] + i, text, size) != 0)
			continue;
		image->data[DB][i] ^= 32;
		found++;
	}
	assert_true(found > 0);
	image_put(image);
	for (size_t i = 0; i + size <= image->size[DB]; i++) {
		image->data[DB][i] ^= 32;
		if (memcmp(image->data[DB] + i, text, size) != 0)
			image->data[DB][i] ^= 32;
	}
}

static void a_row_that_was_changed_is_told_when_it_is_read(void **state)
{
	static struct answer answer;
	struct store_filter filter = { .limit = 10 };
	unsigned damaged = 0;

	(void)state;
	rig.options.quick_check_pages = 1; /* it is too large to be checked whole */
	put_changed(&closed, "status\":200}");
	rig_open(&rig);
	for (uint64_t i = 3; i <= JOBS; i += 3) {
		rig_read_sequence(&rig, i, &answer);
		assert_true(answer.error == 0 || answer.error == -EBADMSG);
		damaged += answer.error == -EBADMSG;
		answer_done(&answer);
	}
	assert_int_equal(damaged, JOBS / 3);
	rig_list(&rig, &filter, &answer); /* doesn't look at results */
	assert_int_equal(answer.error, 0);
	answer_done(&answer);
	rig_close(&rig);
	put_changed(&closed, "sleepdefault");
	rig_open(&rig);
	rig_list(&rig, &filter, &answer);
	assert_int_equal(answer.error, -EBADMSG);
	rig_close(&rig);
	put_changed(&closed, "first\n");
	rig_open(&rig);
	rig_read_attempts(&rig, 3, &answer);
	assert_int_equal(answer.error, -EBADMSG);
	rig_close(&rig);
	rig.options.quick_check_pages = 0;
}

static void what_was_changed_ends_the_load(void **state)
{
	static const char *const texts[] = { "sleepdefault", "timetable" };
	static struct loaded loaded;

	(void)state;
	rig.options.quick_check_pages = 1;
	for (size_t i = 0; i < 2; i++) {
		put_changed(&closed, texts[i]);
		rig_open(&rig);
		assert_int_equal(rig_try_load(&rig, &loaded), -EBADMSG);
		assert_non_null(strstr(store_why(rig.store), "is damaged"));
		loaded_done(&loaded);
		rig_close(&rig);
	}
	rig.options.quick_check_pages = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(images_that_nobody_touched_are_recovered),
		cmocka_unit_test(a_file_that_was_cut_is_noticed),
		cmocka_unit_test(a_bit_that_was_flipped_is_noticed_or_harmless),
		cmocka_unit_test(a_row_that_was_changed_is_told_when_it_is_read),
		cmocka_unit_test(what_was_changed_ends_the_load),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	setvbuf(stdout, NULL, _IOLBF, 0);
	return cmocka_run_group_tests(tests, images_make, images_free);
}
