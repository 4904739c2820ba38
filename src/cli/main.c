#include "cli.h"
#include "job_fields.h"
#include "output.h"
#include "session.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef GATHER_VERSION
#error "GATHER_VERSION comes from the build"
#endif

static const struct verb *const verbs[] = {
	&verb_fetch,    &verb_run,    &verb_map,    &verb_group, &verb_submit,  &verb_wait,
	&verb_result,   &verb_show,   &verb_ls,     &verb_why,   &verb_logs,    &verb_attempts,
	&verb_cancel,   &verb_purge,  &verb_backup, &verb_retry, &verb_workers, &verb_ps,
	&verb_queues,   &verb_limits, &verb_limit,  &verb_pause, &verb_resume,  &verb_schedules,
	&verb_schedule, &verb_types,  &verb_stats,  &verb_bench,
};
#define VERB_COUNT (sizeof(verbs) / sizeof(verbs[0]))

static struct {
	const char *socket, *format;
	bool local, quiet, help, version;
} given;

static const struct flag global_flags[] = {
	{ "local", 0, NULL, "use a private daemon, for this command only", .on = &given.local },
	{ "socket", 0, "PATH", "the daemon's socket (GATHER_SOCKET)", .text = &given.socket },
	{ "output", 'o', "FORMAT", "text, json, jsonl, id or none", .text = &given.format },
	{ "quiet", 'q', NULL, "no progress, no summary", .on = &given.quiet },
	{ "help", 'h', NULL, "this text", .on = &given.help },
	{ 0 },
};

static const struct flag version_flags[] = {
	{ "version", 'V', NULL, "print the version", .on = &given.version },
	{ 0 },
};

static const char *verb_name(const void *arg, size_t index)
{
	(void)arg;
	return verbs[index]->name;
}

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < VERB_COUNT; i++) {
		if (strcmp(verbs[i]->name, name) == 0)
			return verbs[i];
	}
	return NULL;
}

int usage(const struct context *x, const char *format, ...)
{
	char text[1024];
	va_list values;

	va_start(values, format);
	vsnprintf(text, sizeof(text), format, values);
	va_end(values);
	if (x->verb)
		say("%s: %s\nTry 'gather %s --help'.", x->verb->name, text, x->verb->name);
	else
		say("%s\nTry 'gather --help'.", text);
	return STATUS_USAGE;
}

static int help(void)
{
	printf("Usage: gather [--local] VERB ...\n\n"
	       "Hand over slow jobs and gather their results.\n\nVerbs:\n");
	for (size_t i = 0; i < VERB_COUNT; i++)
		printf("  %-10s %s\n", verbs[i]->name, verbs[i]->summary);
	flags_help(global_flags, "With every verb");
	printf("\nExit status: 0 ok, 1 a job failed, 2 usage, 3 timeout or still pending, 4 not "
	       "allowed,\n5 unreachable, 6 refused (busy), 130 interrupted.\n"
	       "\nExamples:\n"
	       "  gather --local fetch --head 60 https://example.com https://example.org\n"
	       "  seq 1000 | gather --local map sleep seconds=0.5\n"
	       "  gather run http url=https://example.com/\n"
	       "\n`gather VERB --help` says more about each.\n");
	return STATUS_OK;
}

static int help_verb(const struct verb *v)
{
	printf("Usage: gather %s%s %s\n\n%c%s.\n", v->name, " [FLAGS]", v->operands,
	       v->summary[0] - 'a' + 'A', v->summary + 1);
	if (v->details)
		printf("%s", v->details);
	printf("\nExamples:\n%s", v->examples);
	if (v->flags)
		flags_help(v->flags, "Flags");
	if (v->flags_too)
		flags_help(v->flags_too, v->flags ? "More flags" : "Flags");
	if (v->flags_more)
		flags_help(v->flags_more, "Many jobs");
	if (v->has_job_fields)
		flags_help(job_field_flags, "Of each job");
	flags_help(global_flags, "With every verb");
	return STATUS_OK;
}

/* The verb and its own command line, behind the flags that may come before it. An exit status. */
static int parse_verb(struct context *x, int argc, char **argv)
{
	const struct flag *const before[FLAG_TABLES] = { global_flags, version_flags };
	const struct flag *tables[FLAG_TABLES] = { global_flags };
	char why[256];
	size_t t = 1;
	int at = flags_parse(argc, argv, before, true, &x->command, why, sizeof(why));

	if (at < 0)
		return usage(x, "%s", why);
	if (given.version || at == argc)
		return STATUS_OK;
	if (strcmp(argv[at], "help") == 0) {
		given.help = true;
		if (++at == argc)
			return STATUS_OK;
	}
	x->verb = find_verb(argv[at]);
	if (!x->verb) {
		const char *near = nearest_name(argv[at], verb_name, NULL, VERB_COUNT);

		return usage(x,
			     near ? "there is no verb '%.40s'; did you mean '%s'?"
				  : "there is no verb '%.40s'",
			     argv[at], near);
	}
	if (x->verb->flags)
		tables[t++] = x->verb->flags;
	if (x->verb->flags_too)
		tables[t++] = x->verb->flags_too;
	if (x->verb->flags_more)
		tables[t++] = x->verb->flags_more;
	if (x->verb->has_job_fields)
		tables[t++] = job_field_flags;
	if (flags_parse(argc - at - 1, argv + at + 1, tables, false, &x->command, why, sizeof(why)) < 0)
		return usage(x, "%s", why);
	return STATUS_OK;
}

static int take_globals(struct context *x)
{
	static const char *const formats[] = {
		[FORMAT_TEXT] = "text", [FORMAT_JSON] = "json", [FORMAT_JSONL] = "jsonl", [FORMAT_ID] = "id", [FORMAT_NONE] = "none"
	};
	size_t format = 0;

	while (given.format && format <= FORMAT_NONE && strcmp(formats[format], given.format) != 0)
		format++;
	if (format > FORMAT_NONE)
		return usage(x, "--output takes text, json, jsonl, id or none, not '%s'", given.format);
	x->format = (enum format)format;
	x->socket = given.socket;
	x->use_local = given.local;
	x->quiet = given.quiet;
	if (given.local && given.socket)
		return usage(x, "--local and --socket exclude each other");
	if (given.local && x->verb->not_local)
		return usage(x, "not with --local: %s", x->verb->not_local);
	if (given.local && job_fields.webhook)
		return usage(
			x, "--webhook: not with --local: the private daemon ends before it could call");
	return STATUS_OK;
}

static int run_verb(struct context *x)
{
	int status = take_globals(x);

	if (status != STATUS_OK)
		return status;
	catch_signals();
	if (given.help)
		status = x->verb->more_help(x);
	else
		status = x->verb->run(x);
	output_flush();
	session_close(x);
	return status;
}

/* A descriptor that the command opens must not become the standard stream that its parent had closed. */
static void fill_closed_streams(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDONLY); /* to write there fails, as it should */
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

/* Nobody reads on: end as programs do then. */
static void end_by_pipe(void)
{
	signal(SIGPIPE, SIG_DFL);
	raise(SIGPIPE);
}

int main(int argc, char **argv)
{
	struct context x = { 0 };
	int status;

	fill_closed_streams();
	output_start();
	status = parse_verb(&x, argc - 1, argv + 1);
	if (status == STATUS_OK && given.version) {
		printf("gather %s\n", GATHER_VERSION);
	} else if (status == STATUS_OK && !x.verb) {
		status = given.help ? help() : usage(&x, "which verb?");
	} else if (status == STATUS_OK && given.help &&
		   (!x.verb->more_help || x.command.operands.count == 0)) {
		status = help_verb(x.verb);
	} else if (status == STATUS_OK) {
		status = run_verb(&x);
	}
	words_free(&x.command.operands);
	words_free(&x.command.flags);
	sb_free(output());
	if (output_failed() == EPIPE)
		end_by_pipe();
	if (output_failed()) {
		say("cannot write the output: %s", strerror(output_failed()));
		status = STATUS_FAILED;
	}
	return status;
}
