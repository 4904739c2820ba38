/*
 * output.h — standard output and standard error of the command, and the progress line between them.
 *
 * Output is buffered and leaves when much has gathered or the command is about to wait; the progress line is wiped
 * before anything else appears on the terminal. A reader that went away (EPIPE) or a full disk is remembered:
 * output_failed().
 */
#pragma once
#include "strbuf.h"

void output_start(void); /* looks at what stdout and stderr are, and at NO_COLOR */

struct strbuf *output(void); /* append to it */
void output_check(void);     /* flush if much has gathered */
void output_flush(void);
bool output_is_waited_for(void); /* somebody reads along: a terminal, a pipe or a socket */
bool output_is_terminal(void);
int output_failed(void); /* errno of the write that failed, or 0 */

/* All of it, or false: errno says why. */
bool write_all(int fd, const char *data, size_t size);

/* To standard error, after all output so far; `say` puts "gather: " before it and a newline behind it. */
void error_put(const char *data, size_t size);
void say(const char *format, ...) GA_PRINTF(1, 2);

bool progress_possible(void); /* stderr is a terminal that can wipe a line */
unsigned progress_width(void);
void progress_line(const char *text); /* replaces the last one; "" wipes it */

/* `word` in the colour of the job's state, on a terminal; otherwise as it is. */
void put_coloured(struct strbuf *out, const char *word, const char *state);
