/*
 * log.h — the daemon's log: one line an event, on standard error.
 *
 * Under systemd (JOURNAL_STREAM matches stderr) a line starts with its sd-daemon(3) priority, as journald reads it;
 * elsewhere with the time and the role. Control characters in values are escaped. Payloads are never logged.
 */
#pragma once
#include "compiler.h"

enum log_level {
	LEVEL_ERROR = 3,
	LEVEL_WARNING = 4,
	LEVEL_NOTICE = 5,
	LEVEL_INFO = 6,
	LEVEL_DEBUG = 7
}; /* syslog(3)'s numbers */

/* Name this process in its lines, e.g. "broker" or "worker 1", and set what is shown (default LEVEL_INFO). */
void log_open(const char *role, enum log_level level);
void log_set_level(enum log_level level);

void log_write(enum log_level level, const char *format, ...) GA_PRINTF(2, 3);
#define log_error(...) log_write(LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...) log_write(LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...) log_write(LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LEVEL_DEBUG, __VA_ARGS__)

/* Only at start-up: log the reason and exit with `status` (78: bad configuration or store, never restarted). */
void fatal(int status, const char *format, ...) GA_PRINTF(2, 3) GA_NORETURN;
