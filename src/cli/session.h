/*
 * session.h — the command's connection to the daemon, and what interrupts it.
 */
#pragma once
#include "cli.h"

/* Catch SIGINT, SIGTERM and SIGHUP: blocking calls then end with EINTR, and the command cleans up. */
void catch_signals(void);
int interrupted(void); /* the signal's number, or 0 */
int interruptions(void);
int interrupted_status(void); /* the exit status that says so */

/* Connect, starting a private daemon first with --local. An exit status; what went wrong was said. */
int session_open(struct context *x) GA_MUST_CHECK;
void session_close(struct context *x);
const char *session_socket(const struct context *x);         /* where the daemon is looked for */
int session_unreachable(const struct context *x, int error); /* it isn't there: say so. An exit status */
/* A call of the library failed with -errno: say why. Its exit status. */
int session_failed(struct context *x, int error);

/* Ask the daemon. STATUS_OK and its answer, or, after saying why not, another status. */
int ask(struct context *x, const char *method, const char *target,
	struct ga_response *ret_response) GA_MUST_CHECK;
/* The same with a body; NULL: none. */
int ask_with(struct context *x, const char *method, const char *target, const struct strbuf *body,
	     struct ga_response *ret_response) GA_MUST_CHECK;
/* As ask(), but an answer that says no is left to the caller (status >= 400). */
int ask_any(struct context *x, const char *method, const char *target, int64_t deadline,
	    struct ga_response *ret_response) GA_MUST_CHECK;
/* Say a problem answer (RFC 9457), after `what` if not NULL. The exit status for its HTTP status. */
int say_problem(const char *what, const struct ga_response *response);
int status_of_http(unsigned status);
