/*
 * conf.h — gatherd.conf: one table of options; from it come parsing (libconfuse), checks, defaults, help and the manual.
 *
 * Each option is a row of conf_table (conf_table.c): name, type, default, range, unit, help, and whether a reload can
 * change it. The values live in struct conf, filled by offset. Immutable once loaded.
 */
#pragma once
#include "compiler.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct conf_list {
	char **items; /* NULL-terminated */
	size_t count;
};

struct conf {
	char *socket;      /* path of the Unix socket, "/run/gatherd/gatherd.sock" */
	char *socket_mode; /* "0660" */
	char *state_dir;   /* "/var/lib/gatherd": the epoch, the store, the lock; one broker each */
	char *runtime_dir; /* "/run/gatherd": the workers' ZeroMQ socket */
	char *store;       /* "sqlite" | "none" */
	int64_t store_max_bytes, store_reserve_bytes, store_queue_bytes, store_inline_bytes;
	int64_t key_ttl;          /* ns */
	struct conf_list plugins; /* further job type modules, absolute paths */
	char *worker_dir;         /* where the built-in job types are */
	int64_t workers; /* 0: one per allowed core, never more than the CPU quota rounded up */
	bool pin;        /* "auto" | "off" */
	int64_t capacity_light, capacity_net, capacity_proc, capacity_cpu; /* of each worker */
	int64_t max_jobs;   /* unfinished, then 429 */
	int64_t args_bytes; /* of unfinished jobs */
	int64_t max_body;   /* bytes of one JSON body or line */
	int64_t max_connections;
	int64_t finished_bytes;                           /* kept results in memory */
	int64_t result_ttl, failed_ttl;                   /* ns */
	int64_t drain_timeout;                            /* ns */
	int64_t hang_warn, hang_abort, hang_kill;         /* ns: 2 s, 10 s, 12 s */
	int64_t broker_restarts, broker_restart_window;   /* 3 in 60 s, then exit non-zero */
	int64_t worker_restarts, worker_restart_window;   /* 5 in 10 s, then every 30 s */
	int64_t restart_delay, restart_delay_max;         /* ns: 100 ms doubling to 30 s */
	char *log_level;                                  /* error warning notice info debug */
	int64_t limits_queue_pending, limits_key_pending; /* jobs that may wait; 0: any number */
	int64_t http_per_host;     /* of one limit key at once; 0: any number */
	char *webhook_secret_file; /* "": none */
	struct conf_list http_allow; /* http.allow: addresses that http jobs may reach though private */
};

struct conf_issue {     /* where and why a file was refused */
	char text[512]; /* "gatherd.conf:12: workers = -1: takes a number from 0 to 4096" */
};

/* Defaults, then the file, then the files *.conf of DIR/conf.d beside it in the order of their names. -ENOENT: no such file;
 * -EINVAL: `ret_issue` says where, what, and what would be right. */
int conf_load(const char *path, struct conf **ret_conf, struct conf_issue *ret_issue) GA_MUST_CHECK;
int conf_defaults(struct conf **ret_conf) GA_MUST_CHECK;
/* From text, as conf_dump() writes it or a user would. */
int conf_parse(const char *text, const char *name, struct conf **ret_conf,
	       struct conf_issue *ret_issue) GA_MUST_CHECK;
/* Set one option as the command line does: "workers=2", "http.allow=10.0.0.0/8 localhost:8080". Checked like the file;
 * -EINVAL: nothing changed. */
int conf_set(struct conf *c, const char *assignment, struct conf_issue *ret_issue) GA_MUST_CHECK;
/* Before a reload: give `next` the values of `now` for what only a restart changes. Returns how many differed, and their
 * names in `ret_kept`; or -ENOMEM. */
int conf_reload(const struct conf *now, struct conf *next, struct conf_issue *ret_kept) GA_MUST_CHECK;
char *conf_dump(const struct conf *c); /* every option, in the file's own syntax; to be freed */
/* One option by name as text (lists joined by spaces); to be freed; NULL: no such option. */
char *conf_text(const struct conf *c, const char *name);
void conf_free(struct conf *c);
/* The table for people: `gatherd --help-options` as plain text, or the manual page's rows in mdoc. */
void conf_help(FILE *out);
void conf_manual(FILE *out);
void conf_example(FILE *out); /* config/gatherd.conf */
