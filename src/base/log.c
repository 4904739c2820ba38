#include "log.h"
#include "clock.h"
#include "text.h"
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MESSAGE_SIZE = 2048, PREFIX_SIZE = 96 };

static int prefix_format(enum log_level level, char *out);
static bool stderr_is_journal(void);
static void write_line(const char *line, size_t size);

/* Set at start-up, before any thread; only the level changes later. */
static char role_name[32] = "gatherd";
static bool to_journal;
static _Atomic int shown_level = LEVEL_INFO;

void log_open(const char *role, enum log_level level)
{
	snprintf(role_name, sizeof(role_name), "%s", role);
	to_journal = stderr_is_journal();
	log_set_level(level);
}

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&shown_level, (int)level, memory_order_relaxed);
}

static void log_values(enum log_level level, const char *format, va_list values)
{
	char message[MESSAGE_SIZE], line[PREFIX_SIZE + MESSAGE_SIZE + 1];
	int error = errno, prefix, size; /* the caller's errno outlives the call, and %m shows it */

	if ((int)level > atomic_load_explicit(&shown_level, memory_order_relaxed))
		return;
	size = vsnprintf(message, sizeof(message), format, values);
	if (size >= 0) {
		prefix = prefix_format(level, line);
		text_escape(message, MIN((size_t)size, sizeof(message) - 1), line + prefix,
			    MESSAGE_SIZE);
		size = prefix + (int)strlen(line + prefix);
		line[size++] = '\n';
		write_line(line, (size_t)size);
	}
	errno = error;
}

void log_write(enum log_level level, const char *format, ...)
{
	va_list values;

	va_start(values, format);
	log_values(level, format, values);
	va_end(values);
}

void fatal(int status, const char *format, ...)
{
	va_list values;

	va_start(values, format);
	log_values(LEVEL_ERROR, format, values);
	va_end(values);
	exit(status);
}

static const char *level_word(enum log_level level)
{
	switch (level) {
	case LEVEL_ERROR:
		return " error";
	case LEVEL_WARNING:
		return " warning";
	case LEVEL_DEBUG:
		return " debug";
	case LEVEL_NOTICE:
	case LEVEL_INFO:
		break;
	}
	return "";
}

static int prefix_format(enum log_level level, char *out)
{
	int64_t now = clock_wall();
	time_t seconds = (time_t)(now / NSEC_PER_SEC);
	struct tm tm;
	size_t used;

	if (to_journal)
		return snprintf(out, PREFIX_SIZE, "<%d>%s: ", (int)level, role_name);
	localtime_r(&seconds, &tm);
	used = strftime(out, PREFIX_SIZE, "%Y-%m-%d %H:%M:%S", &tm);
	return (int)used + snprintf(out + used, PREFIX_SIZE - used,
				    ".%03" PRId64 " %s%s: ", now % NSEC_PER_SEC / NSEC_PER_MSEC,
				    role_name, level_word(level));
}

/* systemd.exec(5): JOURNAL_STREAM is "device:inode" of the journal's end; a redirected stderr differs. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	uint64_t device, inode;
	struct stat st;

	return stream && sscanf(stream, "%" SCNu64 ":%" SCNu64, &device, &inode) == 2 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

/* One write a line, so that lines of several processes don't mix. What can't be written now is lost, not waited for. */
static void write_line(const char *line, size_t size)
{
	ssize_t written;

	do
		written = write(STDERR_FILENO, line, size);
	while (written < 0 && errno == EINTR);
}
