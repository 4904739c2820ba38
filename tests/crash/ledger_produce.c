/*
 * The producer: submits at full speed within its rate, keeps a window of unanswered submissions, and after each broken
 * connection asks again, with the same key, for what it got no answer about.
 */
#include "clock.h"
#include "history.h"
#include "ledger_file.h"
#include "uuid.h"
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <gather/client.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BATCH 64
#define RECONNECT_NS (2 * NSEC_PER_MSEC)
#define TURN_NS (5 * NSEC_PER_MSEC)
#define PAUSE_NS (20 * NSEC_PER_MSEC) /* after a refusal */
#define REPEATED (UINT64_C(1) << 63)  /* in tags: a submission whose promise is known already */

enum order_state { ORDER_NONE, ORDER_SENT, ORDER_OWED, ORDER_SETTLED };

/* What the process that kills reads while we run: DIRECTORY/progress. */
struct progress {
	_Atomic uint64_t promises, intents, unknown, refused, connects, done;
};

struct produce {
	const char *socket, *directory;
	uint64_t seed, first, count; /* numbers: first .. first + count - 1 at most */
	uint64_t window, rate;       /* unanswered at once; a second */
	uint64_t fsync_percent;      /* the others: write */
	uint64_t keyed_percent, result_percent, repeat_percent, once_percent;
	uint64_t longest_ms; /* that a job takes */

	ga_client *client;
	int promises;
	int log; /* of a shim, for marks between the daemon's writes; -1: none */
	struct progress *progress;
	uint8_t *states;       /* enum order_state by number - first */
	uint64_t next, oldest; /* numbers: not yet used; all below are settled */
	uint64_t *owed;        /* to be submitted again: a stack */
	size_t owed_count, outstanding, repeats;
	uint64_t rate_used;
	int64_t pause_until;
	int64_t started;
};

static volatile sig_atomic_t stopping;

static void on_signal(int number)
{
	(void)number;
	stopping = 1;
}

static uint64_t mix_of(const struct produce *p, uint64_t number)
{
	return ledger_mix(p->seed, number);
}

static bool is_keyed(const struct produce *p, uint64_t number)
{
	return mix_of(p, number) % 100 < p->keyed_percent;
}

static bool is_once(const struct produce *p, uint64_t number)
{
	return (mix_of(p, number) >> 24) % 100 < p->once_percent;
}

static uint32_t flags_of(const struct produce *p, uint64_t number)
{
	return (is_keyed(p, number) ? LEDGER_KEYED : 0) | (is_once(p, number) ? LEDGER_ONCE : 0);
}

static bool is_synced(const struct produce *p, uint64_t number)
{
	return (mix_of(p, number) >> 32) % 100 < p->fsync_percent;
}

static void note(struct produce *p, uint32_t kind, uint64_t number, uint32_t what, const char *id)
{
	struct ledger_entry entry = { .time = ledger_now(),
				      .kind = kind,
				      .number = number,
				      .attempt = what,
				      .flags = flags_of(p, number) };
	struct uuid uuid;

	if (id && uuid_parse(id, strlen(id), &uuid) == 0)
		memcpy(entry.id, uuid.b, sizeof(entry.id));
	ledger_append(p->promises, &entry, 1);
	if (p->log >= 0 && kind == LEDGER_PROMISE && what == 2)
		history_mark_id(p->log, MARK_PROMISED, entry.id);
	else if (p->log >= 0 && kind == LEDGER_DONE && is_synced(p, number))
		history_mark_id(p->log, MARK_DONE, entry.id);
}

static uint8_t *state_of(struct produce *p, uint64_t number)
{
	return &p->states[number - p->first];
}

/* The same number is always the same job, to the byte: the daemon compares what comes under a key. */
static int submit(struct produce *p, uint64_t number, uint64_t tag)
{
	uint64_t mix = mix_of(p, number);
	char args[96], options[128];
	bool slow = mix >> 8 & 1;
	const struct ga_submission s = { .type = "ledger",
					 .args = args,
					 .options = options,
					 .tag = tag,
					 .want_accepted = true,
					 .want_result = (mix >> 16) % 100 < p->result_percent };

	snprintf(args, sizeof(args), "{\"n\":%llu,\"after\":\"%lldus\"}", (unsigned long long)number,
		 slow ? (long long)((mix >> 40) % (p->longest_ms * 1000 + 1)) : 0LL);
	int size = snprintf(options, sizeof(options), "{\"durability\":\"%s\"%s",
			    is_synced(p, number) ? "fsync" : "write",
			    is_once(p, number) ? ",\"at_most_once\":true" : "");

	if (is_keyed(p, number))
		size += snprintf(options + size, sizeof(options) - (size_t)size,
				 ",\"idempotency_key\":\"n%llu\"", (unsigned long long)number);
	snprintf(options + size, sizeof(options) - (size_t)size, "}");
	return ga_client_submit(p->client, &s);
}

/* New numbers, their intents on the disk before the daemon hears of them. */
static int submit_new(struct produce *p, size_t count)
{
	struct ledger_entry intents[BATCH] = { 0 };

	for (size_t i = 0; i < count; i++)
		intents[i] = (struct ledger_entry){ .time = ledger_now(),
						    .kind = LEDGER_INTENT,
						    .number = p->next + i,
						    .flags = flags_of(p, p->next + i) };
	ledger_append(p->promises, intents, count);
	if (fdatasync(p->promises) < 0)
		err(2, "the ledger");
	p->progress->intents += count;
	for (size_t i = 0; i < count; i++) {
		*state_of(p, p->next) = ORDER_SENT;
		p->outstanding++;
		int error = submit(p, p->next, p->next);

		p->next++;
		if (error < 0)
			return error;
	}
	return 0;
}

static size_t allowed_now(const struct produce *p)
{
	double elapsed = (double)(clock_monotonic() - p->started) * 1e-9;
	uint64_t due = (uint64_t)(elapsed * (double)p->rate) + p->rate / 10;
	uint64_t count = MIN(p->first + p->count - p->next, (uint64_t)BATCH);

	if (stopping || p->outstanding >= p->window || due <= p->rate_used)
		return 0;
	count = MIN(count, p->window - p->outstanding);
	return MIN(count, due - p->rate_used);
}

static int submit_more(struct produce *p)
{
	size_t count = allowed_now(p);
	int error = 0;

	if (clock_monotonic() < p->pause_until)
		return 0;
	while (error == 0 && p->owed_count > 0 && p->outstanding < p->window) {
		uint64_t number = p->owed[--p->owed_count];

		*state_of(p, number) = ORDER_SENT;
		p->outstanding++;
		error = submit(p, number, number);
	}
	if (error == 0 && count > 0) {
		p->rate_used += count;
		error = submit_new(p, count);
	}
	return error;
}

static void settle(struct produce *p, uint64_t number)
{
	if (*state_of(p, number) == ORDER_SENT)
		p->outstanding--;
	*state_of(p, number) = ORDER_SETTLED;
	while (p->oldest < p->next && *state_of(p, p->oldest) == ORDER_SETTLED)
		p->oldest++;
}

static void owe(struct produce *p, uint64_t number)
{
	if (*state_of(p, number) == ORDER_SENT)
		p->outstanding--;
	*state_of(p, number) = ORDER_OWED;
	p->owed[p->owed_count++] = number;
}

static uint32_t durability_number(const char *name)
{
	return strcmp(name, "fsync") == 0 ? 2 : strcmp(name, "write") == 0 ? 1 : 0;
}

/* Whoever asks a second time, long after the answer, gets the same job. */
static int repeat_some(struct produce *p, uint64_t number)
{
	if (!is_keyed(p, number) || ledger_now() / 1000 % 100 >= p->repeat_percent)
		return 0;
	p->repeats++;
	return submit(p, number, number | REPEATED);
}

static int on_promise(struct produce *p, const struct ga_client_event *e)
{
	uint64_t number = e->tag & ~REPEATED;

	note(p, LEDGER_PROMISE, number, durability_number(e->durability), e->id);
	if (e->tag & REPEATED)
		return 0;
	p->progress->promises++;
	settle(p, number);
	return repeat_some(p, number);
}

static bool code_is(const struct ga_client_event *e, const char *code)
{
	return e->code.size == strlen(code) && memcmp(e->code.data, code, e->code.size) == 0;
}

/* "Not now" is an answer like another; one that leaves the outcome open is as good as none. */
static void on_refusal(struct produce *p, const struct ga_client_event *e)
{
	uint64_t number = e->tag & ~REPEATED;
	bool not_now = e->status == 429 || code_is(e, "store_full");

	p->progress->refused++;
	/* Its promise stands: only its end can't be told. */
	if (e->tag & REPEATED || *state_of(p, number) == ORDER_SETTLED)
		return;
	if (!not_now && e->status != 503)
		errx(1, "submission %llu is refused: %u %.*s: %.*s", (unsigned long long)number,
		     e->status, (int)e->code.size, e->code.data, (int)e->message.size,
		     e->message.data);
	note(p, not_now ? LEDGER_REFUSED : LEDGER_UNKNOWN, number, e->status, NULL);
	p->pause_until = clock_monotonic() + PAUSE_NS;
	if (is_keyed(p, number) || not_now)
		owe(p, number);
	else
		settle(p, number);
}

static int on_event(struct produce *p, const struct ga_client_event *e)
{
	switch (e->kind) {
	case GA_EVENT_ACCEPTED:
		return on_promise(p, e);
	case GA_EVENT_REFUSED:
		on_refusal(p, e);
		return 0;
	case GA_EVENT_FINISHED:
		if (e->state == GA_SUCCEEDED) {
			note(p, LEDGER_DONE, e->tag & ~REPEATED, 0, e->id);
			p->progress->done++;
		}
		return 0;
	}
	return 0;
}

/* 0 at the end of a turn; -errno when the connection is of no more use. */
static int turn(struct produce *p)
{
	int64_t end = clock_monotonic() + TURN_NS;
	struct ga_client_event event;
	int r = submit_more(p);

	while (r == 0) {
		r = ga_client_next(p->client, end, &event);
		if (r == 0 || r == -EINTR)
			return 0;
		if (r == 1)
			r = on_event(p, &event);
	}
	return r;
}

static void connection_lost(struct produce *p)
{
	for (uint64_t number = p->oldest; number < p->next; number++) {
		if (*state_of(p, number) != ORDER_SENT)
			continue;
		note(p, LEDGER_UNKNOWN, number, 0, NULL);
		p->progress->unknown++;
		if (is_keyed(p, number))
			owe(p, number);
		else
			settle(p, number);
	}
	ga_client_close(p->client);
	p->client = NULL;
}

static void produce(struct produce *p)
{
	p->started = clock_monotonic();
	while (!stopping || p->outstanding + p->owed_count > 0) {
		if (!p->client) {
			if (ga_client_connect(p->socket, &p->client) < 0) {
				usleep(RECONNECT_NS / NSEC_PER_USEC);
				continue;
			}
			p->progress->connects++;
		}
		if (turn(p) < 0)
			connection_lost(p);
		if (p->next == p->first + p->count)
			stopping = 1;
	}
	ga_client_close(p->client);
}

static struct progress *progress_open(const char *directory)
{
	struct progress *progress;
	char path[4096];

	snprintf(path, sizeof(path), "%s/progress", directory);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, sizeof(*progress)) < 0)
		err(2, "%s", path);
	progress = mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (progress == MAP_FAILED)
		err(2, "%s", path);
	close(fd);
	return progress;
}

/* The option that this is, NAME=NUMBER. NULL: none. */
static uint64_t *option_of(struct produce *p, const char *name, size_t size)
{
	const struct {
		const char *name;
		uint64_t *value;
	} options[] = {
		{ "seed", &p->seed },
		{ "first", &p->first },
		{ "count", &p->count },
		{ "window", &p->window },
		{ "rate", &p->rate },
		{ "fsync", &p->fsync_percent },
		{ "keyed", &p->keyed_percent },
		{ "results", &p->result_percent },
		{ "repeats", &p->repeat_percent },
		{ "once", &p->once_percent },
		{ "longest_ms", &p->longest_ms },
	};

	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (strlen(options[i].name) == size && strncmp(options[i].name, name, size) == 0)
			return options[i].value;
	return NULL;
}

static void options_read(struct produce *p, int argc, char *argv[])
{
	for (int i = 0; i < argc; i++) {
		char *value = strchr(argv[i], '=');
		uint64_t *option = value ? option_of(p, argv[i], (size_t)(value - argv[i])) : NULL;

		if (option)
			*option = strtoull(value + 1, NULL, 10);
		else
			errx(2, "%s: no such option", argv[i]);
	}
}

int ledger_produce(int argc, char *argv[])
{
	struct produce p = { .seed = 1,
			     .first = 1,
			     .count = 1000000,
			     .window = 512,
			     .rate = 1000,
			     .fsync_percent = 75,
			     .keyed_percent = 60,
			     .result_percent = 20,
			     .repeat_percent = 5,
			     .once_percent = 10,
			     .longest_ms = 50 };

	if (argc < 3)
		errx(2, "ledger produce SOCKET DIRECTORY [NAME=NUMBER]...");
	p.socket = argv[1];
	p.directory = argv[2];
	options_read(&p, argc - 3, argv + 3);
	p.next = p.oldest = p.first;
	p.states = calloc(p.count, sizeof(*p.states));
	p.owed = calloc(p.count, sizeof(*p.owed));
	if (!p.states || !p.owed)
		errx(2, "no memory");
	p.promises = ledger_open(p.directory, "promises");
	p.progress = progress_open(p.directory);
	p.log = getenv(SHIM_LOG_VARIABLE)
			? open(getenv(SHIM_LOG_VARIABLE), O_WRONLY | O_APPEND | O_CLOEXEC)
			: -1;
	signal(SIGTERM, on_signal);
	signal(SIGPIPE, SIG_IGN);
	produce(&p);
	free(p.states);
	free(p.owed);
	return 0;
}
