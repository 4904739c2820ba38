/*
 * strbuf.h — growable text, and JSON written straight into it.
 *
 * Owns its memory; `data` is not NUL-terminated unless sb_string() was called. Running out of memory ends the command.
 */
#pragma once
#include <gather/attributes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct strbuf {
	char *data;
	size_t size, room;
};

void sb_free(struct strbuf *s); /* empty and usable afterwards */
void sb_trim(struct strbuf *s); /* give back the room that isn't used */
char *sb_reserve(struct strbuf *s, size_t size);
const char *sb_string(struct strbuf *s); /* with a NUL behind it; valid until the next change */
void sb_put(struct strbuf *s, const void *data, size_t size);
void sb_text(struct strbuf *s, const char *text);
void sb_char(struct strbuf *s, char c);
void sb_unsigned(struct strbuf *s, uint64_t value);
void sb_printf(struct strbuf *s, const char *format, ...) GA_PRINTF(2, 3);

/* A JSON string in quotes. False, and nothing appended: the bytes aren't UTF-8. */
bool sb_json(struct strbuf *s, const char *data, size_t size);
void sb_json_lossy(struct strbuf *s, const char *data, size_t size); /* broken UTF-8 becomes U+FFFD */
void sb_base64(struct strbuf *s, const void *data, size_t size);
void sb_milliseconds(struct strbuf *s, uint32_t us); /* as a JSON number with three decimals */
/* As a word of a shell command, quoted where needed. */
void sb_shell_word(struct strbuf *s, const char *word);

/* Length of the well-formed UTF-8 sequence at `p` (Unicode 15, table 3-7), or 0. size > 0. */
size_t utf8_sequence(const char *p, size_t size);
/* The first `count` characters, broken bytes and control characters (but newline and tab) shown as U+FFFD. */
void sb_head(struct strbuf *s, const char *data, size_t size, uint64_t count);
