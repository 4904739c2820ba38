/* What attempts tell of themselves while they run. */
#include "engine_rig.h"

static int tell(struct rig *rig, const struct job *job, uint32_t fraction, const char *text,
		uint64_t log_from, const char *log)
{
	const struct attempt_progress p = { .token = job->token,
					    .fraction = fraction,
					    .text = span_of(text),
					    .log_from = log_from,
					    .log = span_of(log) };

	return engine_progress(rig->e, job->slot, &p);
}

static void assert_log(const struct job *job, const char *log)
{
	const struct job_told *t = job_told(job);

	assert_non_null(t);
	assert_int_equal(buf_size(&t->log), strlen(log));
	assert_memory_equal(buf_data(&t->log), log, strlen(log));
}

static struct job *running_job(struct rig *rig, struct submission s)
{
	struct job *job;

	rig_open(rig, (struct engine_options){ 0 });
	rig_worker(rig, 0, 1, 10);
	s.job_class = CLASS_NET;
	job = rig_submit(rig, s);
	while (job->state != JOB_RUNNING) {
		uint64_t number;

		while (engine_change(rig->e))
			;
		number = engine_seal(rig->e);
		if (number)
			engine_committed(rig->e, number);
		rig_turn(rig);
	}
	return job;
}

static void the_latest_progress_counts(void **state)
{
	struct rig rig;
	struct job *job = running_job(&rig, (struct submission){ 0 });

	(void)state;
	assert_null(job_told(job));
	assert_int_equal(tell(&rig, job, 250000, "a quarter", 0, ""), 0);
	assert_int_equal(tell(&rig, job, 500000, "half", 0, ""), 0);
	assert_int_equal(job_told(job)->fraction, 500000);
	assert_string_equal(job_told(job)->text, "half");
	rig_succeed(&rig, job);
	rig_turn(&rig);
	assert_int_equal(job_told(job)->fraction, 500000); /* kept with the result */
	rig_close(&rig);
}

static void lines_that_come_again_are_taken_once(void **state)
{
	struct rig rig;
	struct job *job = running_job(&rig, (struct submission){ 0 });

	(void)state;
	tell(&rig, job, 0, "", 0, "one\n");
	tell(&rig, job, 0, "", 4, "two\n");
	tell(&rig, job, 0, "", 0, "one\ntwo\n");
	tell(&rig, job, 0, "", 4, "two\nthree\n");
	assert_log(job, "one\ntwo\nthree\n");
	tell(&rig, job, 0, "", 100, "later\n"); /* some were lost */
	assert_log(job, "one\ntwo\nthree\nlater\n");
	assert_int_equal(job_told(job)->log_end, 106);
	rig_close(&rig);
}

static void only_the_latest_lines_are_kept(void **state)
{
	struct rig rig;
	struct job *job = running_job(&rig, (struct submission){ 0 });
	char line[101];
	uint64_t end = 0;

	(void)state;
	memset(line, 'x', 99);
	strcpy(line + 99, "\n");
	for (int i = 0; i < 1000; i++, end += 100)
		tell(&rig, job, 0, "", end, line);
	assert_int_equal(buf_size(&job_told(job)->log), TOLD_LOG_MAX / 100 * 100);
	assert_int_equal(job_told(job)->log_end, end);
	rig_close(&rig);
}

static void a_new_attempt_begins_anew(void **state)
{
	static const struct retry_policy policy = { .max = 3, .factor = 1 };
	struct rig rig;
	struct job *job = running_job(&rig, (struct submission){ .retries = policy });
	struct job stale = *job;

	(void)state;
	tell(&rig, job, 250000, "first", 0, "one\n");
	rig_fail(&rig, job, true);
	rig_turn(&rig);
	assert_non_null(job_told(job)); /* until the next begins */
	rig_pass(&rig, NSEC_PER_SEC);
	rig_turn(&rig);
	assert_int_equal(job->attempts, 2);
	assert_null(job_told(job));
	assert_int_equal(tell(&rig, &stale, 900000, "late", 4, "two\n"), -ESTALE);
	assert_null(job_told(job));
	tell(&rig, job, 750000, "second", 0, "three\n");
	assert_log(job, "three\n");
	rig_close(&rig);
}

static void the_log_of_a_durable_job_is_saved_with_its_attempt(void **state)
{
	struct rig rig;
	struct job *job = running_job(&rig, (struct submission){ .durability = DURABILITY_FSYNC });
	struct job *changed;

	(void)state;
	while (engine_change(rig.e))
		;
	engine_committed(rig.e, engine_seal(rig.e));
	tell(&rig, job, 1000000, "", 0, "one\n");
	rig_succeed(&rig, job);
	changed = engine_change(rig.e);
	assert_ptr_equal(changed, job);
	assert_non_null(job->extra->notes);
	assert_int_equal(job->extra->notes->attempt, 1);
	assert_int_equal(job->extra->notes->log->size, 4);
	assert_memory_equal(job->extra->notes->log->data, "one\n", 4);
	job->extra->notes->saved = true;
	assert_null(engine_change(rig.e));
	engine_committed(rig.e, engine_seal(rig.e));
	rig_turn(&rig);
	rig_close(&rig);
}

static void what_was_told_counts_for_the_memory_of_results(void **state)
{
	struct rig rig;
	struct job *job = running_job(&rig, (struct submission){ 0 });
	struct engine_counts counts;

	(void)state;
	tell(&rig, job, 0, "", 0, "one\n");
	rig_succeed(&rig, job);
	rig_turn(&rig);
	engine_counts(rig.e, &counts);
	assert_true(counts.finished_bytes > sizeof(*job) + sizeof(struct job_told));
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_latest_progress_counts),
		cmocka_unit_test(lines_that_come_again_are_taken_once),
		cmocka_unit_test(only_the_latest_lines_are_kept),
		cmocka_unit_test(a_new_attempt_begins_anew),
		cmocka_unit_test(the_log_of_a_durable_job_is_saved_with_its_attempt),
		cmocka_unit_test(what_was_told_counts_for_the_memory_of_results),
	};

	return TAP_RUN(tests);
}
