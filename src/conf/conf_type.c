/*
 * conf_type.c — the kinds of values: reading, checking, writing and describing them.
 */
#include "conf_row.h"
#include "text.h"
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static int in_range(const struct conf_row *row, int64_t number, union conf_value *ret_value)
{
	if (number < row->min || number > row->max)
		return -EINVAL;
	ret_value->number = number;
	return 0;
}

static int keep_text(const char *text, union conf_value *ret_value)
{
	ret_value->text = strdup(text);
	return ret_value->text ? 0 : -ENOMEM;
}

static int write_text(const struct conf_row *row GA_UNUSED, const union conf_value *value,
		      struct buf *out)
{
	return buf_append_text(out, value->text);
}

/* Length within the row's limits, and nothing that would spoil a log line or a file name. */
static bool text_fits(const struct conf_row *row, const char *text)
{
	int64_t size = (int64_t)strlen(text);

	if (size < row->min || size > row->max || !utf8_valid(text, (size_t)size))
		return false;
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	return true;
}

/* numbers */

static int read_number(const struct conf_row *row, const char *text, union conf_value *ret_value)
{
	long long number;
	char *end;

	if (!((*text >= '0' && *text <= '9') || *text == '-'))
		return -EINVAL;
	errno = 0;
	number = strtoll(text, &end, 10);
	if (errno || end == text || *end)
		return -EINVAL;
	return in_range(row, number, ret_value);
}

static int write_number(const struct conf_row *row GA_UNUSED, const union conf_value *value,
			struct buf *out)
{
	return buf_printf(out, "%" PRId64, value->number);
}

static int takes_number(const struct conf_row *row, struct buf *out)
{
	return buf_printf(out, "a number from %" PRId64 " to %" PRId64, row->min, row->max);
}

const struct conf_type conf_number = { FIELD_INT64, "NUMBER", read_number, write_number, takes_number };

/* durations */

static int read_duration(const struct conf_row *row, const char *text, union conf_value *ret_value)
{
	int64_t ns;

	return duration_parse(text, &ns) < 0 ? -EINVAL : in_range(row, ns, ret_value);
}

static int write_duration(const struct conf_row *row GA_UNUSED, const union conf_value *value,
			  struct buf *out)
{
	char text[DURATION_TEXT_SIZE];

	return buf_append_text(out, duration_format(value->number, text));
}

static int takes_duration(const struct conf_row *row, struct buf *out)
{
	char min[DURATION_TEXT_SIZE], max[DURATION_TEXT_SIZE];

	return buf_printf(out, "a duration from %s to %s, such as 30s or 1.5h",
			  duration_format(row->min, min), duration_format(row->max, max));
}

const struct conf_type conf_duration = { FIELD_INT64, "DURATION", read_duration, write_duration,
					 takes_duration };

/* sizes */

static int read_bytes(const struct conf_row *row, const char *text, union conf_value *ret_value)
{
	uint64_t bytes;

	if (size_parse(text, &bytes) < 0 || bytes > INT64_MAX)
		return -EINVAL;
	return in_range(row, (int64_t)bytes, ret_value);
}

static int append_bytes(struct buf *out, int64_t bytes)
{
	static const char *const units[] = { "", "KiB", "MiB", "GiB", "TiB" };
	size_t unit = 0;

	while (bytes && bytes % 1024 == 0 && unit + 1 < ARRAY_SIZE(units)) {
		bytes /= 1024;
		unit++;
	}
	return buf_printf(out, "%" PRId64 "%s", bytes, units[unit]);
}

static int write_bytes(const struct conf_row *row GA_UNUSED, const union conf_value *value,
		       struct buf *out)
{
	return append_bytes(out, value->number);
}

static int takes_bytes(const struct conf_row *row, struct buf *out)
{
	int r = buf_append_text(out, "a size from ");

	if (r >= 0)
		r = append_bytes(out, row->min);
	if (r >= 0)
		r = buf_append_text(out, " to ");
	if (r >= 0)
		r = append_bytes(out, row->max);
	return r < 0 ? r : buf_append_text(out, ", such as 4096 or 64KiB");
}

const struct conf_type conf_bytes = { FIELD_INT64, "SIZE", read_bytes, write_bytes, takes_bytes };

/* choices */

/* The index of the word among the row's, or -1. */
static int word_index(const struct conf_row *row, const char *text)
{
	size_t size = strlen(text);
	const char *word = row->words;

	for (int i = 0; *word; i++) {
		size_t word_size = strcspn(word, " ");

		if (size == word_size && memcmp(word, text, size) == 0)
			return i;
		word += word_size + strspn(word + word_size, " ");
	}
	return -1;
}

static int takes_words(const struct conf_row *row, struct buf *out)
{
	const char *word = row->words, *separator = "";
	int r = 0;

	while (*word && r >= 0) {
		size_t size = strcspn(word, " ");

		r = buf_printf(out, "%s%.*s", separator, (int)size, word);
		word += size + strspn(word + size, " ");
		separator = strchr(word, ' ') ? ", " : " or ";
	}
	return r;
}

static int read_switch(const struct conf_row *row, const char *text, union conf_value *ret_value)
{
	int index = word_index(row, text);

	if (index < 0)
		return -EINVAL;
	ret_value->on = index == 0;
	return 0;
}

static int write_switch(const struct conf_row *row, const union conf_value *value, struct buf *out)
{
	size_t first = strcspn(row->words, " ");

	if (value->on)
		return buf_append(out, row->words, first);
	return buf_append_text(out, row->words + first + 1);
}

const struct conf_type conf_switch = { FIELD_BOOL, "WORD", read_switch, write_switch, takes_words };

static int read_word(const struct conf_row *row, const char *text, union conf_value *ret_value)
{
	return word_index(row, text) < 0 ? -EINVAL : keep_text(text, ret_value);
}

const struct conf_type conf_word = { FIELD_TEXT, "WORD", read_word, write_text, takes_words };

/* paths */

static int read_path(const struct conf_row *row, const char *text, union conf_value *ret_value)
{
	if (*text != '/' || !text_fits(row, text))
		return -EINVAL;
	return keep_text(text, ret_value);
}

static int takes_path(const struct conf_row *row, struct buf *out)
{
	return buf_printf(out, "an absolute path of at most %" PRId64 " bytes", row->max);
}

/* A file that there need not be: "" is none. */
static int read_file(const struct conf_row *row, const char *text, union conf_value *ret_value)
{
	return *text ? read_path(row, text, ret_value) : keep_text(text, ret_value);
}

static int takes_file(const struct conf_row *row, struct buf *out)
{
	return buf_printf(out, "an absolute path of at most %" PRId64 " bytes, or nothing", row->max);
}

static int takes_paths(const struct conf_row *row GA_UNUSED, struct buf *out)
{
	return buf_append_text(out, "a list of absolute paths");
}

const struct conf_type conf_path = { FIELD_TEXT, "PATH", read_path, write_text, takes_path };
const struct conf_type conf_file = { FIELD_TEXT, "PATH", read_file, write_text, takes_file };
const struct conf_type conf_paths = { FIELD_LIST, "{PATH, ...}", read_path, write_text, takes_paths };

/* permissions */

static int read_mode(const struct conf_row *row GA_UNUSED, const char *text, union conf_value *ret_value)
{
	size_t size = strlen(text);

	if (size < 3 || size > 4 || strspn(text, "01234567") != size)
		return -EINVAL;
	if (size == 4 && *text != '0')
		return -EINVAL;
	return keep_text(text, ret_value);
}

static int takes_mode(const struct conf_row *row GA_UNUSED, struct buf *out)
{
	return buf_append_text(out, "three octal digits, such as 0660");
}

const struct conf_type conf_mode = { FIELD_TEXT, "MODE", read_mode, write_text, takes_mode };

/* addresses, as the http job's policy reads them */

static bool is_address(const char *text, int *ret_bits)
{
	unsigned char bytes[16];

	if (inet_pton(AF_INET, text, bytes) == 1) {
		*ret_bits = 32;
		return true;
	}
	*ret_bits = 128;
	return inet_pton(AF_INET6, text, bytes) == 1;
}

static bool is_number_to(const char *text, long max, long min)
{
	size_t size = strlen(text);

	return size >= 1 && size <= 5 && strspn(text, "0123456789") == size && atol(text) <= max &&
	       atol(text) >= min;
}

static bool is_host(const char *text)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
	size_t size = strlen(text);
	int bits;

	if (strspn(text, "0123456789.") == size)
		return is_address(text, &bits); /* a wrong address is no host name */
	return size >= 1 && size <= 253 && strspn(text, letters) == size;
}

/* ADDRESS/BITS, [ADDRESS]:PORT, ADDRESS, HOST:PORT, HOST; changes the text. */
static bool is_destination(char *text)
{
	char *slash = strchr(text, '/'), *end;
	int bits;

	if (slash) {
		*slash = '\0';
		return is_address(text, &bits) && is_number_to(slash + 1, bits, 0);
	}
	if (*text == '[') {
		end = strchr(text, ']');
		if (!end)
			return false;
		*end++ = '\0';
		return is_address(text + 1, &bits) && bits == 128 &&
		       (*end == '\0' || (*end == ':' && is_number_to(end + 1, 65535, 1)));
	}
	if (is_address(text, &bits))
		return true;
	end = strchr(text, ':');
	if (end) {
		*end++ = '\0';
		if (!is_number_to(end, 65535, 1))
			return false;
	}
	return is_host(text);
}

static int read_address(const struct conf_row *row, const char *text, union conf_value *ret_value)
{
	char *copy;
	bool good;

	if (!text_fits(row, text))
		return -EINVAL;
	copy = strdup(text);
	if (!copy)
		return -ENOMEM;
	good = strcmp(text, "*") == 0 || is_destination(copy);
	free(copy);
	return good ? keep_text(text, ret_value) : -EINVAL;
}

static int takes_addresses(const struct conf_row *row GA_UNUSED, struct buf *out)
{
	return buf_append_text(out, "a list of addresses, networks and hosts, such as "
				    "{\"10.0.0.0/8\", \"[::1]:80\", \"localhost:8080\"}, or {\"*\"}");
}

const struct conf_type conf_addresses = { FIELD_LIST, "{ADDRESS, ...}", read_address, write_text,
					  takes_addresses };
