/*
 * hash_bytes(): 16 bytes a step, folded by one 64 x 64 -> 128 bit multiplication whose halves are xored. Each factor
 * is masked by a secret or by the state so far, so that without the secrets no input is known to make a factor zero.
 */
#include "map.h"
#include "random.h"
#include <string.h>

static uint64_t secrets[4];

/* Before main: a call costs no check, and no thread can see it half done. */
__attribute__((constructor)) static void seed_secrets(void)
{
	struct random r;

	random_seed_from_system(&r);
	for (size_t i = 0; i < ARRAY_SIZE(secrets); i++)
		secrets[i] = random_next(&r);
}

static uint64_t fold(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t load64(const unsigned char *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	return word;
}

static uint64_t load32(const unsigned char *p)
{
	uint32_t word;

	memcpy(&word, p, sizeof(word));
	return word;
}

/* The 0..16 bytes of the end as two words; they overlap rather than branch on each size. */
static void load_tail(const unsigned char *p, size_t size, uint64_t *ret_a, uint64_t *ret_b)
{
	if (size >= 8) {
		*ret_a = load64(p);
		*ret_b = load64(p + size - 8);
	} else if (size >= 4) {
		*ret_a = load32(p);
		*ret_b = load32(p + size - 4);
	} else {
		*ret_a = size ? (uint64_t)p[0] << 16 | (uint64_t)p[size / 2] << 8 | p[size - 1] : 0;
		*ret_b = 0;
	}
}

uint64_t hash_bytes(const void *data, size_t size)
{
	const unsigned char *p = data;
	uint64_t state = secrets[0] ^ size, a, b;
	size_t left = size;

	for (; left > 16; left -= 16, p += 16)
		state = fold(load64(p) ^ secrets[1], load64(p + 8) ^ state);
	load_tail(p, left, &a, &b);
	state = fold(a ^ secrets[2], b ^ state);
	return fold(state ^ secrets[3], size ^ secrets[1]);
}
