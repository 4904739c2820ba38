/*
 * process.h — child processes for coroutines: start, talk to them by pipes, wait, kill. asyncio's create_subprocess_exec.
 *
 * A child leads a session and a process group of its own, and inherits nothing but its three standard descriptors: all
 * others are closed, no signal is blocked, ignored or caught. It is watched by a pidfd on the loop that started it, so
 * SIGCHLD and other children are the program's own business as before. It stays a zombie, and its pid its own, until
 * ga_process_free(); a loop that ends kills and reaps what it has started.
 *
 * A process is owned by who started it and belongs to the loop of its thread. Needs Linux 5.11: -ENOSYS before.
 * A status is 0..255, with which the child exited, or 256 + the signal that killed it (GA_SIGNALLED); or -ECHILD: the
 * program took it itself, by ignoring SIGCHLD or by waiting for any child.
 */
#pragma once
#include <gather/stream.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ga_process ga_process;

/* The signal that killed it, of a status; or 0. */
#define GA_SIGNALLED(status) ((status) > 256 ? (status)-256 : 0)

enum ga_stdio {
	GA_STDIO_INHERIT,   /* the caller's */
	GA_STDIO_NULL,      /* /dev/null */
	GA_STDIO_PIPE,      /* a pipe, with a stream at our end */
	GA_STDIO_TO_STDOUT, /* for `err` alone: where `out` goes */
	GA_STDIO_FD,        /* in_fd, out_fd or err_fd, borrowed until the call returns */
};

struct ga_process_options {     /* all 0: as the caller, on its descriptors */
	const char *const *env; /* "NAME=value"..., NULL; or NULL: the caller's */
	const char *directory;  /* to start in; NULL: the caller's */
	enum ga_stdio in, out, err;
	int in_fd, out_fd, err_fd;
	bool same_session; /* a group of its own in the caller's session: it keeps its terminal */
	int parent_death_signal; /* sent to it when the *thread* that started it ends; 0: none. See prctl(2) */
};

/* Start a program. argv[0] without a slash is looked for in PATH, of `env` if given; no shell is involved. Errors of
 * the child before it runs the program are returned: -ENOENT (of `directory`, too), -EACCES, -ENOEXEC, ...; -EAGAIN,
 * -EMFILE, -ENOMEM: limits; -EINVAL: the arguments; -ECANCELED: the loop has closed. The thread stands still until the
 * child has started, for 1 ms or so whatever the size of the program. options may be NULL. */
GA_API int ga_process_start(const char *const argv[], const struct ga_process_options *options,
			    ga_process **ret_process) GA_MUST_CHECK;
/* Kill what is left of its group (SIGKILL), close its streams, reap it on the loop as soon as it has ended, free. NULL
 * is a no-op. No task may be inside a call on its streams; who waits for it is told its end. Descendants that left the
 * group (setsid) live on. */
GA_API void ga_process_free(ga_process *process);
GA_API void ga_process_freep(ga_process **process); /* for GA_AUTO_PROCESS */
#define GA_AUTO_PROCESS __attribute__((cleanup(ga_process_freep)))

GA_API pid_t ga_process_pid(const ga_process *process);
/* Our ends of its pipes, borrowed: the process closes them. NULL: there is no pipe. ga_stream_shutdown() of stdin lets
 * the child read the end. */
GA_API ga_stream *ga_process_stdin(const ga_process *process);
GA_API ga_stream *ga_process_stdout(const ga_process *process);
GA_API ga_stream *ga_process_stderr(const ga_process *process);

GA_API int ga_process_status(const ga_process *process); /* its status; -EINPROGRESS: it runs */
/* Its status, once it has ended. -ETIMEDOUT, -ECANCELED: the process is left alone. With pipes that nobody reads it may
 * never end: ga_process_communicate() reads them. */
GA_API int ga_process_wait(ga_process *process, int64_t deadline) GA_ASYNC;
/* The stackless form: resolves with its status. Cancelling the future leaves the process alone. It outlives the
 * process. NULL: no memory. */
GA_API ga_future *ga_process_future(ga_process *process);
/* Send a signal to its whole group. -ESRCH: the process itself has ended (what is left of its group gets the signal). */
GA_API int ga_process_kill(ga_process *process, int signal);

struct ga_output {
	char *data;  /* ends with a NUL that doesn't count; NULL: no pipe */
	size_t size; /* at most the cap */
	bool cut;    /* there was more: it was read and dropped */
	bool open;   /* a descendant still holds the pipe: what it may write yet is lost */
};

/* Write `input` to its stdin and close that, read stdout and stderr all the while, and wait for its end: its status.
 * Of each output the first `cap` bytes are kept, and the rest is read, too, so that the child never waits for room.
 * A child that doesn't read its input is no error. When it has ended, descendants of it that hold its pipes are given
 * 250 ms. The outputs are freed by ga_output_free(); NULL: not wanted. On -ETIMEDOUT, -ECANCELED and -ENOMEM the process
 * is left alone and nothing is lost: called again, with the same input, it goes on where it was. */
GA_API int ga_process_communicate(ga_process *process, const void *input, size_t input_size,
				  size_t cap, int64_t deadline, struct ga_output *ret_out,
				  struct ga_output *ret_err) GA_ASYNC;
GA_API void ga_output_free(struct ga_output *output); /* its data; NULL is a no-op */

#ifdef __cplusplus
}
#endif
