/*
 * random.h — a small seeded generator (xoshiro256**, Blackman and Vigna 2018) for jitter, ids and simulations.
 *
 * Not for secrets. The same seed gives the same sequence on every machine.
 */
#pragma once
#include <stdint.h>

struct random {
	uint64_t s[4];
};

void random_seed(struct random *r, uint64_t seed);
void random_seed_from_system(struct random *r); /* getrandom(2) */
uint64_t random_next(struct random *r);
uint64_t random_below(struct random *r, uint64_t limit); /* 0 <= result < limit; limit > 0 */
double random_unit(struct random *r);                    /* 0 <= result < 1 */
