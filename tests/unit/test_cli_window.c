#include "tap_main.h"

#include "output.h"
#include "record.h"
#include "session.h"
#include "window.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * A daemon in a process of its own that answers as a script says. What the window shows goes through the real standard
 * output, which is a file during the test.
 */
enum script {
	REVERSED, /* answers what one read brought, the last one first */
	BUSY,     /* refuses every third for now, the first time */
	HANGS_UP, /* after ten answers */
	PATIENT,  /* answers none before it has all of them: one less than it can hold */
};

#define HELD_MAX 20000 /* submissions that it can hold */

struct daemon {
	char directory[40], path[64];
	pid_t pid;
};

static void answer(int fd, const struct record *r, enum script script, bool *refused)
{
	struct buf out = BUF_INIT;
	struct record reply = { .kind = RECORD_FINISHED,
				.ref = r->ref,
				.finished = { .state = JOB_SUCCEEDED, .attempts = 1 } };

	/* A job's argument comes back as its body. */
	reply.finished.body = r->submit.args;
	if (script == BUSY && r->ref % 3 == 0 && !refused[r->ref]) {
		refused[r->ref] = true;
		reply = (struct record){ .kind = RECORD_REFUSED,
					 .ref = r->ref,
					 .refused = { .status = 429, .retry_after_ms = 1 } };
	}
	if (record_put(&out, &reply) == 0)
		(void)!write(fd, buf_data(&out), buf_size(&out));
	buf_done(&out);
}

static void serve(int fd, enum script script)
{
	static bool refused[1000];
	static struct record held[HELD_MAX];
	struct buf in = BUF_INIT;
	int answers = 0;

	for (;;) {
		char *room = buf_reserve(&in, 65536);
		ssize_t n = read(fd, room, 65536);
		struct span input;
		const char *why;
		size_t count = 0;

		if (n <= 0)
			_exit(0);
		buf_grew(&in, (size_t)n);
		input = (struct span){ buf_data(&in), buf_size(&in) };
		while (input.size && count < HELD_MAX && record_next(&input, &held[count], &why) == 1)
			count++;
		if (script == PATIENT && count < HELD_MAX - 1)
			continue;
		while (count-- > 0) {
			if (held[count].kind == RECORD_SUBMIT)
				answer(fd, &held[count], script, refused);
			if (script == HANGS_UP && ++answers == 10)
				_exit(0);
		}
		buf_consume(&in, buf_size(&in) - input.size);
	}
}

static void daemon_start(struct daemon *d, enum script script)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(d->directory, "/tmp/test-window-XXXXXX");
	assert_non_null(mkdtemp(d->directory));
	snprintf(d->path, sizeof(d->path), "%s/s", d->directory);
	strcpy(address.sun_path, d->path);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 1), 0);
	d->pid = fork();
	if (d->pid == 0)
		serve(accept(listener, NULL, NULL), script);
	close(listener);
}

static void daemon_end(struct daemon *d)
{
	kill(d->pid, SIGKILL);
	waitpid(d->pid, NULL, 0);
	unlink(d->path);
	rmdir(d->directory);
}

/* ---- a list of numbers ---- */

struct numbers {
	uint64_t next, count;
};

static enum source_result next(void *arg, struct strbuf *label)
{
	struct numbers *n = arg;

	if (n->next == n->count)
		return SOURCE_END;
	sb_unsigned(label, n->next++);
	return SOURCE_ONE;
}

static const char *build(void *arg, const char *label, size_t size, struct job_text *job)
{
	(void)arg;
	sb_put(&job->args, label, size);
	return size == 2 && memcmp(label, "13", 2) == 0 ? "unlucky" : NULL;
}

static void render(void *arg, const struct outcome *o, struct strbuf *out, struct strbuf *err)
{
	(void)arg;
	(void)err;
	if (o->event->kind == GA_EVENT_FINISHED) {
		assert_int_equal(o->event->body.size, o->label_size);
		assert_memory_equal(o->event->body.data, o->label, o->label_size);
	}
	sb_put(out, o->label, o->label_size);
	sb_char(out, '\n');
}

/* Run `count` jobs; what was shown is in `shown`, to be closed. */
static int run(enum script script, struct window *w, uint64_t count, FILE **ret_shown)
{
	struct numbers numbers = { .count = count };
	struct daemon d;
	struct context x = { .socket = d.path, .quiet = true };
	int status, real = dup(STDOUT_FILENO), real_error = dup(STDERR_FILENO);

	daemon_start(&d, script);
	*ret_shown = tmpfile();
	fflush(stdout);
	dup2(fileno(*ret_shown), STDOUT_FILENO);
	dup2(fileno(*ret_shown), STDERR_FILENO);
	output_start();
	w->arg = &numbers; /* cppcheck-suppress autoVariables ; window_run() is over before they are gone */
	w->next = next;
	w->build = build;
	w->render = render;
	w->fd = -1;
	w->type = "noop";
	tally_start(&w->tally, count);
	status = session_open(&x);
	if (status == STATUS_OK)
		status = window_run(&x, w);
	session_close(&x);
	dup2(real, STDOUT_FILENO);
	dup2(real_error, STDERR_FILENO);
	close(real);
	close(real_error);
	daemon_end(&d);
	rewind(*ret_shown);
	sb_free(output());
	return status;
}

static void results_leave_in_order_each_once(void **state)
{
	struct window w = { .jobs = 50, .ordered = true };
	unsigned long expected = 0, number;
	FILE *shown;

	(void)state;
	assert_int_equal(run(REVERSED, &w, 900, &shown), STATUS_FAILED); /* 13 can't be handed over */
	while (fscanf(shown, "%lu\n", &number) == 1)
		assert_int_equal(number, expected++);
	assert_int_equal(expected, 900);
	assert_int_equal(w.tally.ok, 899);
	assert_int_equal(w.tally.failed, 1);
	assert_int_equal(w.tally.latencies.count, 899); /* of those that ran */
	fclose(shown);
}

/* Their records are several times what a socket holds. */
static void as_many_as_are_allowed_are_handed_over_before_the_first_ends(void **state)
{
	struct window w = { .jobs = HELD_MAX, .ordered = true };
	unsigned long expected = 0, number;
	FILE *shown;

	(void)state;
	assert_int_equal(run(PATIENT, &w, HELD_MAX, &shown), STATUS_FAILED);
	while (fscanf(shown, "%lu\n", &number) == 1)
		assert_int_equal(number, expected++);
	assert_int_equal(expected, HELD_MAX);
	assert_int_equal(w.tally.ok, HELD_MAX - 1);
	fclose(shown);
}

static void what_is_refused_for_now_is_tried_again(void **state)
{
	struct window w = { .jobs = 30 };
	bool seen[12] = { false };
	unsigned long number, count = 0;
	FILE *shown;

	(void)state;
	assert_int_equal(run(BUSY, &w, 12, &shown), STATUS_OK);
	while (fscanf(shown, "%lu\n", &number) == 1) {
		assert_true(number < 12 && !seen[number]);
		seen[number] = true;
		count++;
	}
	assert_int_equal(count, 12);
	assert_int_equal(w.tally.ok, 12);
	assert_int_equal(w.tally.failed, 0);
	/* The time that it was put off counts. */
	assert_int_equal(w.tally.latencies.count, 12);
	assert_true(w.tally.latencies.longest >= 50000000);
	fclose(shown);
}

static void a_daemon_that_goes_away_ends_the_list(void **state)
{
	struct window w = { .jobs = 5, .ordered = true };
	FILE *shown;

	(void)state;
	assert_int_equal(run(HANGS_UP, &w, 100, &shown), STATUS_UNREACHABLE);
	assert_true(w.tally.ok <= 10);
	fclose(shown);
}

static void elements_of_an_array_are_separated(void **state)
{
	struct window w = { .jobs = 8, .ordered = true, .array = true };
	char text[64] = "";
	FILE *shown;

	(void)state;
	assert_int_equal(run(REVERSED, &w, 3, &shown), STATUS_OK);
	text[fread(text, 1, sizeof(text) - 1, shown)] = '\0';
	assert_string_equal(text, "[\n0\n,\n1\n,\n2\n\n]\n");
	fclose(shown);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(results_leave_in_order_each_once),
		cmocka_unit_test(as_many_as_are_allowed_are_handed_over_before_the_first_ends),
		cmocka_unit_test(what_is_refused_for_now_is_tried_again),
		cmocka_unit_test(a_daemon_that_goes_away_ends_the_list),
		cmocka_unit_test(elements_of_an_array_are_separated),
	};

	return TAP_RUN(tests);
}
