/*
 * What the engine promises for a failed allocation: what can be refused is refused and changes nothing, and what can't
 * be refused loses nothing. The linker gives this program's allocations to the functions below (--wrap).
 */
#include "engine_groups.h"
#include "engine_workers.h"
#include "limits_rig.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_reallocarray(void *old, size_t count, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
char *__real_strndup(const char *text, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_reallocarray(void *old, size_t count, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
char *__wrap_strndup(const char *text, size_t size);

static int allocations_left = INT32_MAX;

static bool granted(void)
{
	return allocations_left == INT32_MAX || allocations_left-- > 0;
}

void *__wrap_malloc(size_t size)
{
	return granted() ? __real_malloc(size) : NULL;
}

void *__wrap_calloc(size_t count, size_t size)
{
	return granted() ? __real_calloc(count, size) : NULL;
}

void *__wrap_realloc(void *old, size_t size)
{
	return granted() ? __real_realloc(old, size) : NULL;
}

void *__wrap_reallocarray(void *old, size_t count, size_t size)
{
	return granted() ? __real_reallocarray(old, count, size) : NULL;
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	return granted() ? __real_aligned_alloc(alignment, size) : NULL;
}

char *__wrap_strndup(const char *text, size_t size)
{
	return granted() ? __real_strndup(text, size) : NULL;
}

static void memory_for(int allocations)
{
	allocations_left = allocations;
}

static void memory_for_all(void)
{
	allocations_left = INT32_MAX;
}

static void an_engine_is_made_or_not(void **state)
{
	const struct engine_options options = { .epoch = 1 };
	struct engine *e = NULL;
	int r = -ENOMEM, n;

	(void)state;
	for (n = 0; r < 0; n++) {
		memory_for(n);
		r = engine_new(&options, &e);
		memory_for_all();
		assert_true(r == 0 || (r == -ENOMEM && !e));
	}
	assert_true(n > 5);
	engine_free(e);
}

static void a_submission_is_taken_or_leaves_no_trace(void **state)
{
	struct submission s = { .queue = SPAN("new"),
				.client = 6,
				.priority = 50,
				.result_ttl = 12345,
				.limit_key = SPAN("host") };
	struct engine_counts counts;
	struct limit_view limits;
	struct queue_view view;
	struct job *job = NULL;
	struct rig rig;
	int r = -ENOMEM, n;

	(void)state;
	s.args = bytes_new("{}", 2);
	rig_open(&rig, (struct engine_options){ 0 });
	for (n = 0; r < 0; n++) {
		memory_for(n);
		r = engine_submit(rig.e, &s, &job);
		memory_for_all();
		rig_check(&rig);
		if (r == 0)
			break;
		assert_int_equal(r, -ENOMEM);
		assert_null(job);
		assert_int_equal(s.args->refs, 1);
		engine_counts(rig.e, &counts);
		assert_int_equal(counts.submitted + counts.jobs[JOB_READY], 0);
		assert_null(engine_older(rig.e, NULL));
		assert_int_equal(engine_queue_view(rig.e, 1, &view), -ENOENT);
		assert_int_equal(engine_limit_view(rig.e, LIMIT_KEY, 0, &limits), -ENOENT);
	}
	assert_true(n >= 10); /* queue, name, levels, lifetime, cell, page, key, name, lane, shelf: each was refused once */
	assert_int_equal(job->sequence, 1);
	rig_close(&rig);
	bytes_unref(s.args);
}

static void a_limit_is_set_or_not(void **state)
{
	const struct limit limit = { .concurrency = 1 };
	struct limit_view view;
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	for (int kind = 0; kind < 2; kind++)
		for (int pause = 0; pause < 2; pause++) {
			const struct span name = pause ? SPAN("paused") : SPAN("limited");
			int r = -ENOMEM;

			for (int n = 0; r < 0; n++) {
				memory_for(n);
				r = pause ? engine_pause(rig.e, (enum limit_kind)kind, name)
					  : engine_set_limit(rig.e, (enum limit_kind)kind, name,
							     &limit);
				memory_for_all();
				rig_check(&rig);
				assert_int_equal(r, r == 0 ? 0 : -ENOMEM);
				assert_int_equal(engine_limit_find(rig.e, (enum limit_kind)kind,
								   name, &view),
						 r == 0 ? 0 : -ENOENT);
			}
		}
	rig_close(&rig);
}

/* Coming back, being held back and being let go again take no memory, however often. */
static void jobs_of_a_key_need_no_more_memory(void **state)
{
	struct job *jobs[8];
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	rig_limit(&rig, LIMIT_KEY, "host", (struct limit){ .concurrency = 4 });
	rig_worker(&rig, 0, 1, 8);
	for (int i = 0; i < 8; i++)
		jobs[i] = rig_keyed(&rig, i % 2 ? "a" : "b", "host", i / 4);
	assert_int_equal(rig_start(&rig), 4);
	memory_for(0);
	assert_int_equal(rig_end(&rig, jobs[4],
				 (struct attempt_result){ .outcome = OUTCOME_RETURNED, .busy = true }),
			 0);
	rig_check(&rig);
	assert_int_equal(engine_set_limit(rig.e, LIMIT_KEY, SPAN("host"), &(struct limit){ 0 }), 0);
	rig_check(&rig);
	engine_worker_lost(rig.e, 0, 1, &(struct engine_death){ .asked = true });
	memory_for_all();
	rig_check(&rig);
	rig_worker(&rig, 0, 2, 8);
	assert_int_equal(rig_start(&rig), 8);
	rig_close(&rig);
}

static void a_retry_by_hand_happens_or_not(void **state)
{
	struct job *job;
	struct rig rig;
	int r = -ENOMEM;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	rig_worker(&rig, 0, 1, 8);
	job = rig_keyed(&rig, "q", "host", 3);
	rig_turn(&rig);
	rig_fail(&rig, job, false);
	rig_turn(&rig);
	for (int n = 0; r < 0; n++) {
		memory_for(n);
		r = engine_retry(rig.e, job);
		memory_for_all();
		rig_check(&rig);
		assert_int_equal(r, r == 0 ? 0 : -ENOMEM);
		assert_int_equal(job->state, r == 0 ? JOB_READY : JOB_FAILED);
	}
	rig_close(&rig);
}

static void a_worker_starts_or_not(void **state)
{
	struct rig rig;
	int r = -ENOMEM;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	for (int n = 0; r < 0; n++) {
		struct worker_view view;

		memory_for(n);
		r = engine_worker_started(rig.e, 5, 1);
		memory_for_all();
		assert_int_equal(engine_worker_view(rig.e, 0, &view), r < 0 ? -ENOENT : 0);
		rig_check(&rig);
	}
	rig_close(&rig);
}

static void a_job_waits_until_there_is_memory_to_dispatch_it(void **state)
{
	struct job *job;
	struct rig rig;
	int n;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	rig_worker(&rig, 0, 1, 1);
	job = rig_job(&rig);
	for (n = 0; job->state == JOB_READY; n++) {
		memory_for(n);
		rig_turn(&rig);
		memory_for_all();
		if (job->state == JOB_READY)
			assert_int_equal(job->token | job->attempts, 0);
	}
	assert_int_equal(n, 3);
	assert_int_equal(rig_had(&rig, ACTION_DISPATCH, job), 1);
	rig_close(&rig);
}

static void a_result_counts_once_there_is_memory_for_it(void **state)
{
	static const struct attempt_result results[] = {
		{ .outcome = OUTCOME_SUCCEEDED, .meta = SPAN("{}"), .body = SPAN("body") },
		{ .outcome = OUTCOME_FAILED,
		  .meta = SPAN("{}"),
		  .body = SPAN("body"),
		  .message = SPAN("why") },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(results); i++) {
		struct job *job;
		struct rig rig;
		int r = -ENOMEM;

		rig_open(&rig, (struct engine_options){ 0 });
		rig_worker(&rig, 0, 1, 1);
		job = rig_job(&rig);
		rig_turn(&rig);
		for (int n = 0; r < 0; n++) {
			memory_for(n);
			r = rig_end(&rig, job, results[i]);
			memory_for_all();
			rig_check(&rig);
			if (r == 0)
				break;
			assert_int_equal(r, -ENOMEM);
			assert_int_equal(job->state, JOB_RUNNING);
			assert_null(job->body);
		}
		assert_string_equal(job->body->data, "body");
		rig_turn(&rig);
		assert_int_equal(rig_had(&rig, ACTION_FINISHED, job), 1);
		rig_close(&rig);
	}
}

static void a_retry_without_memory_to_wait_comes_early(void **state)
{
	struct job *job;
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	rig_worker(&rig, 0, 1, 1);
	job = rig_submit(&rig, (struct submission){ .retries = { .max = 9,
								 .initial_ms = 60000,
								 .maximum_ms = 60000,
								 .factor = 1 } });
	rig_turn(&rig);
	memory_for(1); /* the error, but no timer */
	rig_fail(&rig, job, true);
	memory_for_all();
	assert_int_equal(job->state, JOB_READY);
	assert_int_equal(job->failures, 1);
	rig_turn(&rig);
	assert_int_equal(rig_had(&rig, ACTION_RETRYING, job), 1);
	assert_int_equal(rig_had(&rig, ACTION_DISPATCH, job), 1);
	rig_close(&rig);
}

static void jobs_that_come_back_keep_their_order_without_memory(void **state)
{
	static const int order[] = { 0, 5, 2, 4, 1, 3 };
	struct job *jobs[7];
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	rig_worker(&rig, 0, 1, 6);
	for (int i = 0; i < 7; i++)
		jobs[i] = rig_job(&rig);
	rig_turn(&rig);
	memory_for(0);
	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		assert_int_equal(rig_end(&rig, jobs[order[i]],
					 (struct attempt_result){ .outcome = OUTCOME_RETURNED }),
				 0);
	memory_for_all();
	rig_check(&rig);
	for (uint64_t i = 0; i < 7; i++)
		assert_int_equal(engine_ahead(rig.e, jobs[i]), i);
	rig_close(&rig);
}

static void a_cancel_is_asked_for_or_not(void **state)
{
	struct job *job;
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	job = rig_job(&rig);
	memory_for(0);
	assert_int_equal(engine_cancel(rig.e, job), -ENOMEM);
	memory_for_all();
	assert_int_equal(job->state, JOB_READY);
	assert_false(job->cancelling);
	assert_int_equal(engine_cancel(rig.e, job), 0);
	rig_turn(&rig);
	rig_close(&rig);
}

static void a_crash_is_charged_without_memory_for_its_story(void **state)
{
	struct job *job;
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	job = rig_job(&rig);
	for (uint64_t incarnation = 1; incarnation <= 3; incarnation++) {
		rig_worker(&rig, 0, incarnation, 1);
		rig_turn(&rig);
		memory_for(0);
		rig_lost(&rig, 0, incarnation, job->token, 11);
		memory_for_all();
	}
	assert_int_equal(job->crashes, 3);
	assert_null(job->error);
	memory_for(0);
	rig_turn(&rig);
	memory_for_all();
	rig_turn(&rig);
	rig_worker(&rig, SACRIFICE_SLOT, 4, 1);
	rig_turn(&rig);
	memory_for(0);
	rig_lost(&rig, SACRIFICE_SLOT, 4, job->token, 11);
	memory_for_all();
	assert_int_equal(job->state, JOB_FAILED);
	assert_null(job->error);
	rig_turn(&rig);
	rig_close(&rig);
}

static void without_memory_for_suspicion_all_go_on(void **state)
{
	struct job *jobs[4];
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	for (int i = 0; i < 4; i++)
		jobs[i] = rig_job(&rig);
	rig_worker(&rig, 0, 1, 4);
	rig_turn(&rig);
	memory_for(0);
	rig_lost(&rig, 0, 1, 0, 9);
	memory_for_all();
	assert_int_equal(jobs[3]->state, JOB_READY);
	assert_false(jobs[3]->suspect);
	rig_worker(&rig, 0, 2, 4);
	rig_turn(&rig);
	rig_lost(&rig, 0, 2, 0, 9);
	rig_worker(&rig, SACRIFICE_SLOT, 3, 4);
	rig_turn(&rig);
	assert_int_equal(jobs[3]->state, JOB_RUNNING);
	memory_for(0);
	rig_lost(&rig, SACRIFICE_SLOT, 3, 0, 9); /* they stay together then */
	memory_for_all();
	rig_turn(&rig);
	rig_worker(&rig, SACRIFICE_SLOT, 4, 4);
	rig_turn(&rig);
	for (int i = 0; i < 4; i++)
		assert_int_equal(jobs[i]->state, JOB_RUNNING);
	rig_close(&rig);
}

/* As the broker does it: all of it, or it is discarded. */
static int make_group(struct rig *rig, enum job_durability durability, struct group **ret_group)
{
	const struct group_options options = { .kind = GROUP_CHAIN, .timeout = NSEC_PER_SEC };
	const struct group_submission outer = { .options = options, .durability = durability, .count = 2 };
	struct submission s = { .durability = durability, .blocked = true, .exempt = true };
	struct group_submission inner = outer;
	struct job *job;
	int r = engine_group_new(rig->e, &outer, ret_group);

	if (r < 0)
		return r;
	s.group = inner.parent = *ret_group;
	r = engine_submit(rig->e, &s, &job);
	inner.member = 1;
	inner.count = 1;
	if (r == 0)
		r = engine_group_new(rig->e, &inner, &s.group);
	if (r == 0)
		r = engine_submit(rig->e, &s, &job);
	if (r == 0)
		engine_group_start(rig->e, *ret_group);
	else
		engine_group_discard(rig->e, *ret_group);
	return r;
}

static void a_group_is_made_whole_or_not_at_all(void **state)
{
	struct engine_counts counts;
	struct group *g = NULL;
	struct rig rig;
	int r, n;

	(void)state;
	for (int d = DURABILITY_MEMORY; d <= DURABILITY_FSYNC; d++) {
		rig_open(&rig, (struct engine_options){ 0 });
		r = -ENOMEM;
		for (n = 0; r < 0; n++) {
			memory_for(n);
			r = make_group(&rig, (enum job_durability)d, &g);
			memory_for_all();
			rig_check(&rig);
			if (r == 0)
				break;
			assert_int_equal(r, -ENOMEM);
			engine_counts(rig.e, &counts);
			assert_int_equal(counts.submitted + counts.jobs[JOB_BLOCKED], 0);
			assert_null(engine_group_older(rig.e, NULL));
			rig_turn(&rig);
			assert_int_equal(rig.count, 0);
		}
		assert_true(n > 10);
		assert_int_equal(g->state, JOB_RUNNING);
		rig_close(&rig);
	}
}

static void a_stored_job_comes_back_or_not(void **state)
{
	struct submission s = { .job_class = CLASS_NET,
				.durability = DURABILITY_FSYNC,
				.queue = SPAN("new"),
				.limit_key = SPAN("host"),
				.key = SPAN("k"),
				.unique_key = SPAN("u") };
	struct restored_job r = { .sequence = 7, .token = 77, .incarnation = 1, .slot = 3 };
	struct engine_counts counts;
	struct job *job;
	struct rig rig;
	int error, n;

	(void)state;
	s.args = bytes_new("{}", 2);
	for (int ready = JOB_READY; ready <= JOB_RETRYING; ready++) {
		r.state = (enum job_state)ready;
		for (n = 0, error = -ENOMEM; error < 0; n++) {
			rig_open(&rig, (struct engine_options){ 0 }); /* another one each time: memory is kept */
			rig_worker(&rig, 3, 1, 1);
			s.deadline = rig.now + NSEC_PER_SEC;
			r.due = rig.now + NSEC_PER_SEC;
			memory_for(n);
			error = engine_restore(rig.e, &s, &r, &job);
			memory_for_all();
			rig_check(&rig);
			engine_counts(rig.e, &counts);
			if (error == 0) {
				assert_int_equal(job->state, ready);
			} else {
				assert_int_equal(error, -ENOMEM);
				assert_null(engine_older(rig.e, NULL));
				assert_int_equal(s.args->refs, 1);
				assert_int_equal(counts.args_bytes, 0);
			}
			rig_close(&rig);
		}
		assert_true(n > 10);
	}
	bytes_unref(s.args);
}

static void what_an_attempt_does_happens_or_not(void **state)
{
	struct submission child = { .job_class = CLASS_NET };
	struct attempt_progress told = { .fraction = 5, .text = SPAN("half"), .log = SPAN("a line\n") };
	struct job *parent, *job;
	struct rig rig;
	int r, n;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	rig_worker(&rig, 0, 1, 1);
	parent = rig_job(&rig);
	rig_turn(&rig);
	child.client = attempt_client(parent->token);
	for (n = 0, r = -ENOMEM; r < 0; n++) {
		memory_for(n);
		r = engine_submit(rig.e, &child, &job);
		memory_for_all();
		rig_check(&rig);
		assert_true(r == 0 || r == -ENOMEM);
	}
	assert_true(n > 2);
	told.token = parent->token;
	for (n = 0, r = -ENOMEM; r < 0; n++) {
		memory_for(n);
		r = engine_progress(rig.e, 0, &told);
		memory_for_all();
		assert_true(r == 0 || r == -ENOMEM);
	}
	assert_true(n > 2);
	rig_succeed(&rig, parent);
	rig_turn(&rig);
	assert_int_equal(job->state,
			 JOB_CANCELLED); /* its parent is noted, however late there was memory for it */
	rig_close(&rig);
}

static void a_death_of_long_ago_is_noted_or_not(void **state)
{
	const struct engine_death death = { .signal = 9 };
	struct rig rig;

	(void)state;
	rig_open(&rig, (struct engine_options){ 0 });
	memory_for(0);
	assert_int_equal(engine_worker_was_lost(rig.e, 0, 1, &death), -ENOMEM);
	memory_for_all();
	assert_int_equal(engine_worker_was_lost(rig.e, 0, 1, &death), 0);
	memory_for(0);
	assert_int_equal(engine_worker_was_lost(rig.e, 0, 1, &death), 0); /* it is known */
	memory_for_all();
	assert_int_equal(engine_worker_was_lost(rig.e, 0, 0, &death), -EINVAL);
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_engine_is_made_or_not),
		cmocka_unit_test(a_submission_is_taken_or_leaves_no_trace),
		cmocka_unit_test(a_group_is_made_whole_or_not_at_all),
		cmocka_unit_test(a_limit_is_set_or_not),
		cmocka_unit_test(jobs_of_a_key_need_no_more_memory),
		cmocka_unit_test(a_retry_by_hand_happens_or_not),
		cmocka_unit_test(a_stored_job_comes_back_or_not),
		cmocka_unit_test(what_an_attempt_does_happens_or_not),
		cmocka_unit_test(a_death_of_long_ago_is_noted_or_not),
		cmocka_unit_test(a_worker_starts_or_not),
		cmocka_unit_test(a_job_waits_until_there_is_memory_to_dispatch_it),
		cmocka_unit_test(a_result_counts_once_there_is_memory_for_it),
		cmocka_unit_test(a_retry_without_memory_to_wait_comes_early),
		cmocka_unit_test(jobs_that_come_back_keep_their_order_without_memory),
		cmocka_unit_test(a_cancel_is_asked_for_or_not),
		cmocka_unit_test(a_crash_is_charged_without_memory_for_its_story),
		cmocka_unit_test(without_memory_for_suspicion_all_go_on),
	};

	return TAP_RUN(tests);
}
