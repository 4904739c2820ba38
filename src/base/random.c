#include "random.h"
#include "clock.h"
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

/* SplitMix64 (Steele, Lea, Flood 2014): spreads a seed of any quality over the state, which must not be all zero. */
static uint64_t splitmix(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

void random_seed(struct random *r, uint64_t seed)
{
	for (int i = 0; i < 4; i++)
		r->s[i] = splitmix(&seed);
}

void random_seed_from_system(struct random *r)
{
	/* Up to 256 bytes come whole and uninterrupted (getrandom(2)). A sandbox may forbid the call: then the clock and
	 * the process are better than a constant. */
	if (getrandom(r->s, sizeof(r->s), 0) != sizeof(r->s) ||
	    (r->s[0] | r->s[1] | r->s[2] | r->s[3]) == 0)
		random_seed(r, (uint64_t)clock_wall() ^ (uint64_t)getpid() << 40 ^
				       (uint64_t)(uintptr_t)r);
}

static uint64_t rotate_left(uint64_t x, int k)
{
	return x << k | x >> (64 - k);
}

uint64_t random_next(struct random *r)
{
	uint64_t *s = r->s, result = rotate_left(s[1] * 5, 7) * 9, t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotate_left(s[3], 45);
	return result;
}

/* Lemire 2019, "Fast random integer generation in an interval": no bias, a division only when it must be. */
uint64_t random_below(struct random *r, uint64_t limit)
{
	unsigned __int128 product = (unsigned __int128)random_next(r) * limit;

	if ((uint64_t)product < limit) {
		uint64_t threshold = -limit % limit;

		while ((uint64_t)product < threshold)
			product = (unsigned __int128)random_next(r) * limit;
	}
	return (uint64_t)(product >> 64);
}

double random_unit(struct random *r)
{
	return (double)(random_next(r) >> 11) * 0x1p-53;
}
