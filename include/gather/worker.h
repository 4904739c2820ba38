/*
 * worker.h — what a job type is: the interface between gatherd's workers and their handlers.
 *
 * A handler lives in a shared object that exports GA_PLUGIN(&type, ...). Each type declares its parameters once; from
 * that table come the checks at the door, `gather run TYPE --help`, and the documentation. gatherd's own types (http,
 * sleep, ...) are made the same way.
 *
 * A type gives one of three handlers, called once for each attempt, after the arguments were checked:
 *   run    a coroutine on the worker's loop: straight-line code with <gather/async.h>. Must not block.
 *   start  returns a future (stackless: a hundred bytes instead of a stack); `finish`, if any, is called on the loop with
 *          its result. The future is the runner's from then on. NULL: as ga_job_fail() said, or no memory.
 *   work   an ordinary function that may block or compute, run in the executor (class CPU: the worker's CPU thread).
 * Its int: 0 succeeded; -ECANCELED: cancelled (or timed out, if the attempt's time was over); any other negative value:
 * failed, as the last ga_job_fail() said or else as strerror says. All ga_job_* belong to the handler of that job, on its
 * thread, until it returns; nothing a job returns to the caller is to be freed.
 * Requests by <gather/http.h> that name no client go by the worker's: one pool of connections, and http.allow holds.
 */
#pragma once
#include <gather/async.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GA_WORKER_ABI 1u

typedef struct ga_job ga_job;
struct json_t; /* jansson's; include <jansson.h> to look into nested arguments */

enum ga_param_type {
	GA_TEXT,    /* a string */
	GA_INTEGER, /* a whole number in [min, max] */
	GA_NUMBER,  /* a number in [min, max] */
	GA_BOOLEAN,
	GA_DURATION, /* "10s" or seconds; min and max in seconds; read in nanoseconds */
	GA_SIZE,     /* "1MiB" or bytes; min and max in bytes */
	GA_CHOICE,   /* one of the words in `choices` */
	GA_OBJECT,   /* a JSON object */
	GA_ARRAY,    /* a JSON array */
	GA_ANY,      /* any JSON value */
};

#define GA_REQUIRED 1u
#define GA_SECRET 2u /* never shown */

struct ga_param {
	const char *name;
	enum ga_param_type type;
	unsigned flags;
	const char *preset;  /* the default as JSON text, e.g. "5" or "\"GET\""; NULL: none */
	double min, max;     /* both 0: unlimited; for GA_TEXT the length in bytes */
	const char *unit;    /* "s", "bytes", ...; NULL: none */
	const char *choices; /* for GA_CHOICE: "none|head|body" */
	const char *help;    /* one line */
};

/* What an attempt uses: capacity is counted per class, so that a full class blocks no other. */
enum ga_job_class { GA_CLASS_LIGHT, GA_CLASS_NET, GA_CLASS_PROC, GA_CLASS_CPU, GA_CLASS_COUNT };

struct ga_job_type {
	const char *name; /* [a-z][a-z0-9_.-]*, at most 64 */
	const char *help; /* one line */
	enum ga_job_class job_class;
	size_t data_bytes;             /* of zeroed memory that each attempt gets: ga_job_data() */
	size_t stack_bytes;            /* for run; 0: 64 KiB */
	const struct ga_param *params; /* ends with a NULL name; NULL: takes no arguments */
	int (*run)(ga_job *job);
	ga_future *(*start)(ga_job *job);
	int (*finish)(ga_job *job, ga_future *future, int result);
	int (*work)(ga_job *job);
	const char *example; /* arguments that work, as `gather run` takes them: "url=https://example.com/" */
	/* The parameter (GA_TEXT) with the URL whose host is the limit key of jobs that name none; NULL: they have none. */
	const char *limit_param;
};

struct ga_plugin {
	unsigned abi;     /* GA_WORKER_ABI */
	size_t type_size; /* sizeof(struct ga_job_type) when it was built */
	const struct ga_job_type *const *types;
};

#define GA_PLUGIN(...)                                                                             \
	static const struct ga_job_type *const ga_plugin_types[] = { __VA_ARGS__, NULL };          \
	extern GA_API const struct ga_plugin ga_plugin;                                            \
	GA_API const struct ga_plugin ga_plugin = { GA_WORKER_ABI, sizeof(struct ga_job_type),     \
						    ga_plugin_types }

/* ---- the arguments: declared parameters only; the default where none was given ---- */
GA_API bool ga_job_has(const ga_job *job, const char *param);         /* given, or has a default */
GA_API const char *ga_job_text(const ga_job *job, const char *param); /* NULL: absent; also GA_CHOICE */
GA_API int64_t ga_job_integer(const ga_job *job,
			      const char *param); /* also GA_SIZE (bytes) and GA_DURATION (ns); 0: absent */
GA_API double ga_job_number(const ga_job *job, const char *param);
GA_API bool ga_job_boolean(const ga_job *job, const char *param);
GA_API struct json_t *ga_job_json(const ga_job *job,
				  const char *param); /* any of them, borrowed; NULL: absent */

/* ---- the job ---- */
GA_API const char *ga_job_id(const ga_job *job);
GA_API unsigned ga_job_attempt(const ga_job *job); /* 1, 2, ... */
GA_API int64_t ga_job_deadline(const ga_job *job); /* of this attempt, as ga_now() counts, or GA_NEVER */
GA_API void *ga_job_data(const ga_job *job);
/* A setting of the daemon's configuration, e.g. "http.allow" (lists: separated by spaces); NULL: no such option. */
GA_API const char *ga_worker_setting(const char *name);

/* ---- while it runs: both reach the broker within a quarter of a second ---- */
/* How far it is: a fraction from 0 to 1 (below 0: unknown) and a few words (255 bytes; NULL: none). The latest counts. */
GA_API int ga_job_progress(ga_job *job, double fraction, const char *text);
/* A line for the attempt's log, or several; kept with the job, the latest 16 KiB of them. Both: 0 or -ENOMEM. */
GA_API int ga_job_log(ga_job *job, const char *line);

/* ---- children: jobs of the attempt's own, for `run` and `start` handlers, on the loop ---- */
/* Submit a job: its type, its arguments and further fields as JSON objects (NULL: none). It belongs to this attempt: it is
 * kept in memory, and what is left of it when the handler ends is cancelled first. The future resolves with 0, or
 * -ECANCELED, -ETIMEDOUT, -EIO (it failed, or was refused), -EMSGSIZE; cancelling it cancels the job. NULL: no memory. */
GA_API ga_future *ga_job_submit(ga_job *job, const char *type, const char *args, const char *options);
struct ga_child_result {
	const char *code, *message; /* why it failed; "": it didn't */
	const char *meta;           /* a JSON object; "": none */
	size_t meta_size;
	const char *body;
	size_t body_size;
};
/* What it gave, as long as the future is held. -EINPROGRESS; -EINVAL: not from ga_job_submit(). */
GA_API int ga_child_result(const ga_future *child, struct ga_child_result *ret_result);
/* ga_gather(), and meanwhile the attempt takes no slot of its worker: children can run where their parents wait. Waiting for
 * children in any other way holds it. It always counts for the limits of its queue and key. */
GA_API int ga_job_gather(ga_job *job, ga_future *const futures[], size_t count, unsigned flags) GA_ASYNC;

/* ---- the result: metadata (a JSON object, 64 KiB at most) and a body (raw bytes) ---- */
/* 0, -ENOMEM, or -EMSGSIZE past the limit; a key set twice stands twice, so set each once. */
GA_API int ga_job_meta_text(ga_job *job, const char *key, const char *value);
GA_API int ga_job_meta_integer(ga_job *job, const char *key, int64_t value);
GA_API int ga_job_meta_number(ga_job *job, const char *key, double value);
GA_API int ga_job_meta_boolean(ga_job *job, const char *key, bool value);
GA_API int ga_job_meta_json(ga_job *job, const char *key, const char *json_text,
			    size_t size);                           /* trusted to be valid JSON */
GA_API int ga_job_body(ga_job *job, const void *data, size_t size); /* append */

/* Say why the job fails: a stable word and a sentence. Returns -EIO, so that a handler can `return ga_job_fail(...)`. */
GA_API int ga_job_fail(ga_job *job, const char *code, const char *format, ...) GA_PRINTF(3, 4);
/* The same for an error that may pass by itself: retried if the job has retries left, not before retry_after_ns (0: as its
 * backoff says). */
GA_API int ga_job_fail_retry(ga_job *job, int64_t retry_after_ns, const char *code,
			     const char *format, ...) GA_PRINTF(4, 5);

/* Say besides that the other side asks to be spared: less of the job's limit key runs at once for a while, and nothing of it
 * starts before the retry_after of ga_job_fail_retry(). Of no effect if the job succeeds. */
GA_API void ga_job_busy(ga_job *job);

#ifdef __cplusplus
}
#endif
