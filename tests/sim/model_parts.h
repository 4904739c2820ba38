/*
 * model_parts.h — what the files of the model share.
 */
#pragma once
#include "model.h"
#include "model_groups.h"

/* An action that has to come. */
struct promise {
	enum action_kind kind;
	uint32_t slot;
	uint64_t sequence, token;
	bool lapsed; /* of a job that was refused once it had left: it may come, and means nothing */
	uint64_t after, until; /* not before `after` is committed, and at once when `until` is */
};

struct model_job *model_add(struct model *m, const struct model_job *job);
void model_starts(struct model *m, struct model_job *job);
void model_ready(struct model *m, struct model_job *job);
void model_ended(struct model *m, struct model_job *job, enum job_state state);
void model_children_run(struct model *m);
void model_attempt_ended(struct model *m, struct model_job *job);
void model_attempt_lost(struct model *m, struct model_job *job);
bool model_worker_free(const struct model *m, uint32_t slot, int job_class);
void model_runs(struct model *m, struct model_job *job, uint32_t slot, uint64_t token);
/* A suspect was dispatched; the sacrificial worker is asked for, or dismissed; a turn is over. */
void model_tried(struct model *m, struct model_job *job, uint32_t slot, uint64_t token);
void model_told_of_worker(struct model *m, enum action_kind kind);
void model_trials_move(struct model *m);
void model_promise(struct model *m, enum action_kind kind, const struct model_job *job, bool changed);
void model_break_promises(struct model *m, uint64_t sequence, int kind); /* below 0: of any kind */
/* Limits. */
bool model_is_open(const struct model *m, const struct model_job *job); /* they let one more like it start */
void model_gates_spend(struct model *m, const struct model_job *job);
void model_gates_result(struct model *m, const struct model_job *job, const struct attempt_result *r);
void model_gates_compare(struct model *m, const char *const names[2][MODEL_GATES]);
