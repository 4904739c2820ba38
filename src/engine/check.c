/* engine_check(): everything counted again, from the lists up. Linear in the number of jobs. */
#include "check.h"
#include "clock.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

static void check_jobs(struct check *k);
static void check_job(struct check *k, const struct job *job);
static void check_extra(struct check *k, const struct job *job);
static void check_profiles(struct check *k);
static void check_worker(struct check *k, const struct worker *w);
static void check_finished(struct check *k);
static void check_lifetimes(struct check *k);
static void check_clients(struct check *k);
static void check_counts(struct check *k);

void expect(struct check *k, bool holds, const char *format, ...)
{
	va_list args;

	if (holds || k->broken)
		return;
	k->broken = true;
	va_start(args, format);
	vsnprintf(k->why, k->why_size, format, args);
	va_end(args);
}

int engine_check(const struct engine *e, char *ret_why, size_t why_size)
{
	struct check k = { .e = e, .why = ret_why, .why_size = why_size };

	check_gates_begin(&k);
	check_jobs(&k);
	check_profiles(&k);
	check_queues(&k);
	check_limit_keys(&k);
	for (uint32_t i = 0; i < e->worker_count && !k.broken; i++)
		check_worker(&k, e->workers[i]);
	check_finished(&k);
	check_lifetimes(&k);
	check_clients(&k);
	check_counts(&k);
	return k.broken ? -EBADMSG : groups_check(e, ret_why, why_size);
}

static void check_jobs(struct check *k)
{
	uint64_t last_page = 0;

	LIST_FOREACH(it, &k->e->table.order) {
		const struct job_page *page = LIST_ENTRY(it, struct job_page, order);
		uint32_t used = 0;

		expect(k, page->number >= last_page, "page %llu of jobs is out of order",
		       (unsigned long long)page->number);
		last_page = page->number + 1;
		for (uint64_t i = 0; i < JOBS_PER_PAGE && !k->broken; i++) {
			const struct job *job = page->jobs[i];

			if (!job)
				continue;
			used++;
			expect(k, job->sequence == page->number * JOBS_PER_PAGE + i,
			       "job %llu stands at another's place",
			       (unsigned long long)job->sequence);
			check_job(k, job);
		}
		expect(k, used > 0 && used == page->used, "page %llu miscounts its jobs",
		       (unsigned long long)page->number);
	}
}

static void check_job(struct check *k, const struct job *job)
{
	const unsigned long long name = job->sequence;
	bool final = job_is_final(job), timed = heap_holds(&job->due);
	bool waits = job->state == JOB_RETRYING || job->state == JOB_SCHEDULED;

	expect(k, job->state >= JOB_READY && job->state < JOB_STATE_LIMIT, "job %llu has no state",
	       name);
	if (k->broken)
		return;
	k->states[job->state]++;
	check_gates_count(k, job);
	k->args_bytes += final ? 0 : bytes_weight(job->args);
	k->with_mates += !final && job->client != 0;
	expect(k, !job->gone, "job %llu has left, but is still found", name);
	expect(k, !job->cancelling || final || job->state == JOB_RUNNING,
	       "job %llu is being cancelled and waits for another attempt", name);
	expect(k,
	       (map_get(&k->e->attempts, job->token, &job->token) == job) == (job->state == JOB_RUNNING),
	       "job %llu and the attempts disagree on whether it runs", name);
	expect(k, final == list_linked(&job->mates) || (!final && job->client != 0),
	       "job %llu is in the list of another state", name);
	expect(k,
	       list_linked(&job->place) ==
		       (final || job->state == JOB_RUNNING || (job->state == JOB_READY && !timed)),
	       "job %llu has no place, or one too many", name);
	expect(k, !waits || (timed && k->e->waiting.slots[job->due.place - 1].node == &job->due),
	       "job %llu waits for no time", name);
	expect(k, waits || job->state == JOB_READY || !timed, "job %llu waits for a time", name);
	expect(k, final == (job->finished_at != 0) || k->e->now == 0, "job %llu has a wrong end", name);
	expect(k, job->state != JOB_ACCEPTED || (job->extra && job->extra->key && job_is_durable(job)),
	       "job %llu waits for a key that it hasn't", name);
	check_extra(k, job);
}

static void check_extra(struct check *k, const struct job *job)
{
	const struct job_extra *x = job->extra;
	const unsigned long long name = job->sequence;

	if (!x)
		return;
	expect(k, x->job == job, "job %llu has another's extra", name);
	expect(k, heap_holds(&x->deadline_due) == (x->deadline != 0 && !job_is_final(job)) || job->cancelling,
	       "job %llu has a wrong deadline", name);
	k->deadlines += heap_holds(&x->deadline_due);
	k->uniques += x->unique_key && !job_is_final(job);
}

/* All jobs there are: those in the table and those that are about to be freed. */
static uint64_t job_total(const struct check *k)
{
	uint64_t jobs = 0;

	for (int s = JOB_READY; s < JOB_STATE_LIMIT; s++)
		jobs += k->states[s];
	LIST_FOREACH(it, &k->e->gone)
		jobs++;
	return jobs;
}

static void check_profiles(struct check *k)
{
	const struct job_profile *p;
	uint64_t users = 0;
	uint32_t pos = 0;

	while ((p = map_next(&k->e->profiles, &pos)))
		users += p->users;
	expect(k, users == job_total(k), "profiles miscount their jobs");
}

static void check_worker(struct check *k, const struct worker *w)
{
	uint32_t held[CLASS_COUNT];

	memcpy(held, w->withheld, sizeof(held));
	LIST_FOREACH(it, &w->jobs) {
		const struct job *job = LIST_ENTRY(it, struct job, place);

		k->held++;
		held[job->profile->job_class] += !job->parked;
		expect(k, job->state == JOB_RUNNING && job->slot == w->slot,
		       "job %llu is held wrongly by worker %u", (unsigned long long)job->sequence,
		       w->slot);
	}
	for (int c = 0; c < CLASS_COUNT; c++) {
		bool free = worker_has_room(w, (enum job_class)c) && w->slot != SACRIFICE_SLOT;

		expect(k, held[c] == w->held[c], "worker %u miscounts what it holds", w->slot);
		expect(k, free == (w->seats[c].load >= 0) && free == list_linked(&w->seats[c].node),
		       "worker %u has a wrong seat", w->slot);
		expect(k, !free || w->seats[c].load == worker_load(w->held[c]),
		       "worker %u has a wrong load", w->slot);
		expect(k, w->incarnation != 0 || held[c] == 0, "worker %u is dead and holds jobs",
		       w->slot);
	}
}

static void check_finished(struct check *k)
{
	const struct list *rings[] = { &k->e->kept, &k->e->spent };

	for (size_t i = 0; i < ARRAY_SIZE(rings); i++)
		LIST_FOREACH(it, rings[i]) {
			const struct job *job = LIST_ENTRY(it, struct job, place);

			k->finished++;
			k->finished_bytes += finished_weight(job);
			expect(k, job_is_final(job) && job->delivered == (i == 1),
			       "job %llu stands wrongly among the finished ones",
			       (unsigned long long)job->sequence);
		}
	expect(k, k->args_bytes == k->e->counts.args_bytes,
	       "arguments of unfinished jobs take %llu bytes, %llu are counted",
	       (unsigned long long)k->args_bytes, (unsigned long long)k->e->counts.args_bytes);
	expect(k, k->finished_bytes == k->e->counts.finished_bytes,
	       "finished jobs take %llu bytes, %llu are counted",
	       (unsigned long long)k->finished_bytes, (unsigned long long)k->e->counts.finished_bytes);
}

static void check_lifetimes(struct check *k)
{
	uint64_t finished = 0, users = 0;
	const struct lifetime *l;
	uint32_t pos = 0;

	while ((l = map_next(&k->e->lifetimes, &pos))) {
		int64_t due = TIME_NEVER, last = INT64_MIN;

		users += l->users;
		LIST_FOREACH(it, &l->jobs) {
			const struct job *job = LIST_ENTRY(it, struct job, mates);

			if (finished++ == 0 || it == l->jobs.next)
				due = time_add(job->finished_at, l->ttl);
			expect(k, lifetime_of(k->e, job) == l && job->finished_at >= last,
			       "job %llu expires wrongly", (unsigned long long)job->sequence);
			last = job->finished_at;
		}
		expect(k, heap_holds(&l->due) && k->e->expiries.slots[l->due.place - 1].due == due,
		       "a lifetime is due at a wrong time");
	}
	expect(k, users == 2 + 2 * (uint64_t)k->e->profiles.used, "lifetimes miscount their users");
	expect(k, finished == k->finished, "%llu jobs have finished, %llu expire",
	       (unsigned long long)k->finished, (unsigned long long)finished);
}

static void check_clients(struct check *k)
{
	const struct client *c;
	uint64_t jobs = 0, indexed = 0;
	uint32_t pos = 0;

	while ((c = map_next(&k->e->clients, &pos))) {
		uint64_t tags = 0;

		LIST_FOREACH(it, &c->jobs) {
			const struct job *job = LIST_ENTRY(it, struct job, mates);

			jobs++;
			tags += it->prev == &c->jobs ||
				LIST_ENTRY(it->prev, struct job, mates)->tag != job->tag;
			expect(k, !job_is_final(job) && job->client == c->name,
			       "job %llu isn't its client's", (unsigned long long)job->sequence);
		}
		expect(k, c->indexed ? tags == c->by_tag.used : c->by_tag.used == 0,
		       "client %llu is indexed wrongly", (unsigned long long)c->name);
		indexed += c->indexed;
	}
	expect(k, jobs == k->with_mates && indexed == k->e->indexed_clients,
	       "clients miscount their jobs");
}

static void check_counts(struct check *k)
{
	const struct engine *e = k->e;

	for (int s = JOB_READY; s < JOB_STATE_LIMIT; s++)
		expect(k, k->states[s] == e->counts.jobs[s], "%llu jobs are %s, %llu are counted",
		       (unsigned long long)k->states[s], job_state_name((enum job_state)s),
		       (unsigned long long)e->counts.jobs[s]);
	expect(k, k->held == k->states[JOB_RUNNING] && e->attempts.used == k->held,
	       "%llu jobs run, workers hold %llu of %llu attempts",
	       (unsigned long long)k->states[JOB_RUNNING], (unsigned long long)k->held,
	       (unsigned long long)e->attempts.used);
	expect(k,
	       k->finished == k->states[JOB_SUCCEEDED] + k->states[JOB_FAILED] +
				      k->states[JOB_CANCELLED] + k->states[JOB_EXPIRED],
	       "finished jobs are not all in the ring");
	expect(k, e->waiting.used == k->states[JOB_RETRYING] + k->states[JOB_SCHEDULED],
	       "retrying and scheduled jobs don't all wait for a time");
	expect(k, e->deadlines.used == k->deadlines, "jobs with a deadline are not all watched");
	expect(k, e->uniques.used == k->uniques, "unique jobs are not all known by their keys");
}
