/*
 * trouble.c — job types that behave badly, each in one way: what the daemon has to survive.
 */
#include <errno.h>
#include <gather/worker.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Whoever sees this knows that the attempt has begun, which its job's state says as soon as it is on its way. */
static int say_begun(ga_job *job)
{
	char text[32];

	snprintf(text, sizeof(text), "attempt %u", ga_job_attempt(job));
	return ga_job_boolean(job, "tell") ? ga_job_progress(job, -1, text) : 0;
}

/* ---- echo: behaves ---- */

static const struct ga_param echo_params[] = {
	{ .name = "text", .type = GA_TEXT, .preset = "\"hello\"", .help = "given back as the body" },
	{ .name = "after", .type = GA_DURATION, .preset = "0", .help = "after so long" },
	{ .name = "tell", .type = GA_BOOLEAN, .preset = "false", .help = "says that it has begun" },
	{ 0 },
};

static int echo_run(ga_job *job)
{
	const char *text = ga_job_text(job, "text");
	int64_t after = ga_job_integer(job, "after");
	int error = say_begun(job);

	if (error == 0 && after)
		error = ga_sleep(after);
	if (error == 0)
		error = ga_job_meta_integer(job, "attempt", ga_job_attempt(job));
	return error < 0 ? error : ga_job_body(job, text, strlen(text));
}

static const struct ga_job_type echo = {
	.name = "echo", .help = "gives a text back", .params = echo_params, .run = echo_run
};

/* ---- crash: takes its worker down ---- */

static const struct ga_param crash_params[] = {
	{ .name = "how",
	  .type = GA_CHOICE,
	  .preset = "\"segv\"",
	  .choices = "segv|abort|kill|exit",
	  .help = "the way" },
	{ .name = "after", .type = GA_DURATION, .preset = "0", .help = "after so long" },
	{ .name = "attempts", .type = GA_INTEGER, .preset = "1000", .help = "only in so many attempts" },
	{ .name = "tell", .type = GA_BOOLEAN, .preset = "false", .help = "says that it has begun" },
	{ 0 },
};

static void crash_now(ga_job *job)
{
	const char *how = ga_job_text(job, "how");

	if (strcmp(how, "segv") == 0)
		*(volatile int *)(64 + (uintptr_t)ga_job_integer(job, "no such")) = 1;
	else if (strcmp(how, "abort") == 0)
		abort();
	else if (strcmp(how, "kill") == 0)
		kill(getpid(), SIGKILL);
	else
		_exit(3);
}

static int crash_run(ga_job *job)
{
	int error = say_begun(job);

	if (error == 0)
		error = ga_sleep(ga_job_integer(job, "after"));
	if (error == 0 && ga_job_attempt(job) <= ga_job_integer(job, "attempts"))
		crash_now(job);
	return error;
}

static const struct ga_job_type crash = {
	.name = "crash", .help = "ends its worker", .params = crash_params, .run = crash_run
};

static int crash_work(ga_job *job)
{
	if (ga_job_attempt(job) <= ga_job_integer(job, "attempts"))
		crash_now(job);
	return 0;
}

static const struct ga_job_type crash_thread = { .name = "crash_thread",
						 .help = "ends its worker from a thread of the pool",
						 .job_class = GA_CLASS_CPU,
						 .params = crash_params,
						 .work = crash_work };

/* ---- spin: never lets go of the loop ---- */

static int spin_run(ga_job *job)
{
	volatile bool for_ever = true;

	(void)job;
	while (for_ever)
		;
	return 0;
}

static const struct ga_job_type spin = { .name = "spin", .help = "spins on the loop", .run = spin_run };

/* ---- leak: forgets memory ---- */

static const struct ga_param leak_params[] = {
	{ .name = "size", .type = GA_SIZE, .preset = "\"1MiB\"", .help = "how much" },
	{ 0 },
};

static char *volatile forgotten; /* by the next one */

static int leak_run(ga_job *job)
{
	size_t size = (size_t)ga_job_integer(job, "size");
	char *memory = malloc(size);

	if (!memory)
		return -ENOMEM;
	memset(memory, 1, size);
	forgotten = memory;
	return ga_job_meta_boolean(job, "leaked", true);
}

static const struct ga_job_type leak = {
	.name = "leak", .help = "forgets memory", .params = leak_params, .run = leak_run
};

/* ---- ignore_cancel: goes on for as long as it said ---- */

static const struct ga_param ignore_params[] = {
	{ .name = "seconds", .type = GA_DURATION, .flags = GA_REQUIRED, .help = "how long" },
	{ 0 },
};

static int ignore_run(ga_job *job)
{
	int64_t end = ga_now() + ga_job_integer(job, "seconds");

	while (ga_now() < end)
		if (ga_sleep_until(end) == -ECANCELED)
			ga_uncancel();
	return 0;
}

static const struct ga_job_type ignore_cancel = { .name = "ignore_cancel",
						  .help = "ignores that it is cancelled",
						  .params = ignore_params,
						  .run = ignore_run };

static int block_work(ga_job *job)
{
	usleep((useconds_t)(ga_job_integer(job, "seconds") / 1000));
	return 0;
}

static const struct ga_job_type block = { .name = "block",
					  .help = "blocks a thread",
					  .job_class = GA_CLASS_CPU,
					  .params = ignore_params,
					  .work = block_work };

/* ---- fail_retry: fails so many times, then succeeds ---- */

static const struct ga_param fail_params[] = {
	{ .name = "times", .type = GA_INTEGER, .preset = "1", .help = "how often it fails" },
	{ .name = "retry_after", .type = GA_DURATION, .preset = "0", .help = "says not to come back before" },
	{ .name = "final", .type = GA_BOOLEAN, .preset = "false", .help = "fails for good" },
	{ .name = "busy", .type = GA_BOOLEAN, .preset = "false", .help = "says that the other side is busy" },
	{ 0 },
};

static int fail_run(ga_job *job)
{
	if (ga_job_boolean(job, "busy"))
		ga_job_busy(job);
	if (ga_job_boolean(job, "final"))
		return ga_job_fail(job, "for_good", "it never works");
	if (ga_job_attempt(job) <= ga_job_integer(job, "times"))
		return ga_job_fail_retry(job, ga_job_integer(job, "retry_after"), "not_yet",
					 "attempt %u of %lld fails", ga_job_attempt(job),
					 (long long)ga_job_integer(job, "times"));
	return ga_job_meta_integer(job, "attempt", ga_job_attempt(job));
}

static const struct ga_job_type fail_retry = { .name = "fail_retry",
					       .help = "fails so many times, then succeeds",
					       .params = fail_params,
					       .run = fail_run };

/* ---- big: much to say ---- */

static const struct ga_param big_params[] = {
	{ .name = "body", .type = GA_SIZE, .preset = "0", .help = "bytes of body" },
	{ .name = "meta", .type = GA_SIZE, .preset = "0", .help = "bytes of metadata" },
	{ 0 },
};

static int big_run(ga_job *job)
{
	static const char piece[1024] = { [0 ... 1022] = 'x' };
	int64_t body = ga_job_integer(job, "body"), meta = ga_job_integer(job, "meta");
	int error = 0;

	for (; error == 0 && body > 0; body -= (int64_t)sizeof(piece))
		error = ga_job_body(job, piece,
				    body < (int64_t)sizeof(piece) ? (size_t)body : sizeof(piece));
	for (; error == 0 && meta > 0; meta -= (int64_t)sizeof(piece))
		error = ga_job_meta_text(job, "piece", piece);
	return error;
}

static const struct ga_job_type big = {
	.name = "big", .help = "says much", .params = big_params, .run = big_run
};

/* ---- tell: says how far it is, and logs ---- */

static const struct ga_param tell_params[] = {
	{ .name = "steps", .type = GA_INTEGER, .preset = "4", .min = 1, .max = 1000000, .help = "of progress" },
	{ .name = "pause", .type = GA_DURATION, .preset = "0", .help = "between two steps" },
	{ .name = "line", .type = GA_TEXT, .preset = "\"step\"", .help = "to log at each step" },
	{ 0 },
};

static int tell(ga_job *job, int (*wait)(int64_t ns))
{
	int64_t steps = ga_job_integer(job, "steps"), pause = ga_job_integer(job, "pause");
	const char *line = ga_job_text(job, "line");
	int error = 0;

	for (int64_t i = 1; error == 0 && i <= steps; i++) {
		error = ga_job_log(job, line);
		if (error == 0)
			error = ga_job_progress(job, (double)i / (double)steps,
						i == steps ? "there" : "on the way");
		if (error == 0 && pause)
			error = wait(pause);
	}
	return error;
}

static int tell_run(ga_job *job)
{
	return tell(job, ga_sleep);
}

static int block_for(int64_t ns)
{
	usleep((useconds_t)(ns / 1000));
	return 0;
}

static int tell_work(ga_job *job)
{
	return tell(job, block_for);
}

static const struct ga_job_type teller = {
	.name = "tell", .help = "tells how far it is", .params = tell_params, .run = tell_run
};

static const struct ga_job_type tell_thread = { .name = "tell_thread",
						.help = "tells how far it is from a thread",
						.job_class = GA_CLASS_CPU,
						.params = tell_params,
						.work = tell_work };

GA_PLUGIN(&teller, &tell_thread, &echo, &crash, &crash_thread, &spin, &leak, &ignore_cancel, &block,
	  &fail_retry, &big);
