/*
 * job_table.h — all jobs, by sequence, and the memory that they stand in. The engine's own.
 *
 * Sequences are dense, so jobs are found by pages of neighbours: a hash and a link for sixteen jobs, not for each.
 */
#pragma once
#include "job.h"
#include "list.h"
#include "map.h"

#define JOBS_PER_PAGE 16u
struct job_page {
	uint64_t number; /* sequence / JOBS_PER_PAGE */
	struct list order;
	uint32_t used;
	struct job *jobs[JOBS_PER_PAGE];
};
struct job_table {
	struct map pages;
	struct list order;       /* of pages, by number */
	struct job_page *recent; /* found last, or NULL */
	struct list roomy;       /* chunks of job cells that have free ones */
	uint32_t empty_chunks;
};
void table_init(struct job_table *t);
void table_done(struct job_table *t);           /* when no job is left */
struct job *table_new_job(struct job_table *t); /* zeroed; NULL: no memory */
void table_free_job(struct job_table *t, struct job *job);
int table_put(struct job_table *t, struct job *job) GA_MUST_CHECK; /* quickest for the newest */
void table_remove(struct job_table *t, struct job *job);
struct job *table_get(struct job_table *t, uint64_t sequence);
struct job *table_older(struct job_table *t, const struct job *job); /* NULL: the newest */
struct job *table_below(struct job_table *t, uint64_t sequence); /* the newest with a smaller one */
