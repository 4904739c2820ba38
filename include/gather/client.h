/*
 * client.h — talk to gatherd from C: hand over jobs in batches, take their results as they come, ask anything else.
 *
 * One connection to the daemon's Unix socket, used by one thread at a time. Submissions are buffered and leave together
 * (ga_client_flush(), or by themselves when 64 KiB have gathered or the caller waits for an event), results are pushed
 * by the daemon. Blocking calls take a deadline: absolute, CLOCK_MONOTONIC nanoseconds (ga_client_now()),
 * GA_CLIENT_FOREVER for none. Errors: -errno; -EPIPE: the daemon closed the connection; -EPROTO: what answers isn't
 * gatherd; -EBUSY: it has as many clients as it takes (max_connections); -ETIMEDOUT: the deadline came first; -EINTR: a
 * signal handler ran during a wait, nothing is lost.
 * A refused job isn't an error of the call: it comes as an event.
 */
#pragma once
#include <gather/attributes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GA_CLIENT_FOREVER INT64_MAX

typedef struct ga_client ga_client;

GA_API int64_t ga_client_now(void);
/* Connect to a socket's path; NULL: $GATHER_SOCKET, else /run/gatherd/gatherd.sock. -ENOENT and -ECONNREFUSED: no
 * daemon there. */
GA_API int ga_client_connect(const char *path, ga_client **ret_client) GA_MUST_CHECK;
GA_API void ga_client_close(ga_client *client); /* NULL is a no-op; its undetached unfinished jobs are cancelled */
/* For an event loop of one's own: poll this for reading (and writing while ga_client_wants_write()), then take
 * events with a deadline of 0. */
GA_API int ga_client_fd(const ga_client *client);
GA_API bool ga_client_wants_write(const ga_client *client);

/* ---- jobs ---- */
struct ga_submission {
	const char *type;
	const char *args; /* JSON object as text; NULL: none */
	const char *options; /* JSON object of further fields: {"priority": 5, "timeout": "10s"}; NULL: none */
	uint64_t tag;       /* the caller's own name for the job, given back in its events */
	bool want_accepted; /* GA_EVENT_ACCEPTED when the daemon has taken it */
	bool want_result;   /* GA_EVENT_FINISHED when it has ended */
};
/* Buffer a job. -EMSGSIZE: over 1 MiB; -ENOMEM. */
GA_API int ga_client_submit(ga_client *client, const struct ga_submission *submission) GA_MUST_CHECK;
GA_API int ga_client_cancel(ga_client *client,
			    uint64_t tag) GA_MUST_CHECK; /* cancel the unfinished job(s) submitted with this tag */
GA_API int ga_client_flush(ga_client *client,
			   int64_t deadline) GA_MUST_CHECK; /* until the socket has taken everything */

enum ga_event_kind { GA_EVENT_ACCEPTED = 1, GA_EVENT_REFUSED, GA_EVENT_FINISHED };
enum ga_final_state { GA_SUCCEEDED = 4, GA_FAILED = 5, GA_CANCELLED = 6, GA_EXPIRED = 9 };

struct ga_bytes {
	const char *data;
	size_t size;
};

struct ga_client_event {
	enum ga_event_kind kind;
	uint64_t tag;
	char id[37];                          /* of the job: text of a UUID; "" if refused */
	const char *durability;               /* accepted: "memory", ... */
	enum ga_final_state state;            /* finished */
	unsigned attempts;                    /* finished */
	uint32_t elapsed_us;                  /* finished: its last attempt */
	unsigned status;                      /* refused: as HTTP's, e.g. 422, 429 */
	unsigned retry_after_ms;              /* refused: 0: none */
	struct ga_bytes code, field, message; /* refused or failed: why */
	struct ga_bytes meta, body;           /* finished: JSON object as text, and raw bytes */
};
/* The next event: 1 (spans are valid until the next call on this client), or 0 at the deadline. Flushes first. */
GA_API int ga_client_next(ga_client *client, int64_t deadline,
			  struct ga_client_event *ret_event) GA_MUST_CHECK;

/* ---- every other verb ---- */
struct ga_response {
	unsigned status; /* as HTTP's */
	const char *content_type;
	struct ga_bytes body;
};
/* E.g. ("GET", "/v1/jobs?state=failed", NULL, 0): the same verbs as over HTTP. The answer is valid until the next
 * call; events that arrive meanwhile are kept for ga_client_next(). */
GA_API int ga_client_request(ga_client *client, const char *method, const char *target,
			     const void *body, size_t body_size, int64_t deadline,
			     struct ga_response *ret_response) GA_MUST_CHECK;

#ifdef __cplusplus
}
#endif
