/*
 * crash_world.h — workers whose jobs do what a table says, and a supervisor that does what the engine asks of it.
 */
#pragma once
#include "engine_limits.h"
#include "engine_rig.h"
#include <signal.h>

enum { JOBS_MAX = 1200, ROUNDS_MAX = 400 };

struct world {
	struct engine *e;
	uint64_t incarnation;
	uint32_t capacity, ordinary; /* workers in slots from 0 */
	struct job *jobs[JOBS_MAX];
	unsigned count;
	bool kills[JOBS_MAX];   /* its process is killed: SIGKILL, nobody knows why */
	bool crashes[JOBS_MAX]; /* SIGSEGV, and it is known whose fault it is */
	unsigned deaths, apart_deaths, sacrifices, dismissals;
	unsigned most_apart; /* that ran at once in the sacrificial worker */
	unsigned elsewhere;  /* suspects that didn't run there */
};

void world_check(struct world *w);
void world_up(struct world *w, uint32_t slot);
struct world *world_new(uint32_t ordinary, uint32_t capacity);
void world_free(struct world *w);
struct job *world_submit(struct world *w, struct submission s);
void world_jobs(struct world *w, unsigned count);
void world_lost(struct world *w, uint32_t slot, struct engine_death death);
/* Carry out what the engine decides, until it decides nothing more. */
void world_act(struct world *w);
/* What the jobs of one worker do: one of them ends it, or all of them succeed. */
void world_work(struct world *w, uint32_t slot);
/* Until all have ended. */
void world_run(struct world *w);
unsigned world_failed(const struct world *w);
bool is_waiting_apart(const struct world *w, const struct job *job);
