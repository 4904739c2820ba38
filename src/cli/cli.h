/*
 * cli.h — what every verb of `gather` shares: its row in the table of verbs, the settings it was given, its exit
 * status.
 *
 * Each verb is a file with one `struct verb`. Data goes to standard output, everything else to standard error.
 */
#pragma once
#include "flags.h"
#include "strbuf.h"
#include <gather/client.h>

enum exit_status { /* documented in --help: never renumbered */
		   STATUS_OK = 0,
		   STATUS_FAILED = 1,  /* a job failed */
		   STATUS_USAGE = 2,   /* wrong command line or arguments */
		   STATUS_PENDING = 3, /* timeout, or still pending */
		   STATUS_NOT_ALLOWED = 4,
		   STATUS_UNREACHABLE = 5,
		   STATUS_REFUSED = 6, /* backpressure */
		   STATUS_INTERRUPTED = 130,
};

enum format { FORMAT_TEXT, FORMAT_JSON, FORMAT_JSONL, FORMAT_ID, FORMAT_NONE };

struct local;
struct context {
	const struct verb *verb;
	struct parsed command;
	enum format format;
	const char *socket; /* NULL: as the library finds it */
	bool use_local, quiet, help;
	ga_client *client;   /* after session_open() */
	struct local *local; /* the private daemon, if there is one */
};

struct verb {
	const char *name;
	const char *operands; /* for the usage line */
	const char *summary;  /* one line */
	const char *details;  /* further lines of help, each ended by a newline; NULL: none */
	const char *examples; /* lines, each ended by a newline */
	const struct flag *flags, *flags_too, *flags_more; /* NULL: none further of its own */
	bool has_job_fields;                               /* takes the flags of job_fields.h */
	const char *not_local;               /* why --local makes no sense here; NULL: it does */
	int (*run)(struct context *x);       /* an exit status */
	int (*more_help)(struct context *x); /* `gather VERB OPERAND --help`; NULL: none */
};

extern const struct verb verb_bench, verb_cancel, verb_fetch, verb_group, verb_logs, verb_ls,
	verb_map, verb_queues, verb_result, verb_retry, verb_run, verb_schedule, verb_schedules,
	verb_show, verb_stats, verb_submit, verb_types, verb_wait, verb_why, verb_workers;
extern const struct verb verb_attempts, verb_backup, verb_ps, verb_purge;
extern const struct verb verb_limit, verb_limits, verb_pause, verb_resume;

/* Say what is wrong with the command line, and where its help is. Returns STATUS_USAGE. */
int usage(const struct context *x, const char *format, ...) GA_PRINTF(2, 3);
