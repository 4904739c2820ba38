#include "crc32c.h"
#include "compiler.h"
#include <stdbool.h>
#include <string.h>

#if defined(__aarch64__)
#include <arm_acle.h>
#include <sys/auxv.h>
#define HARDWARE __attribute__((target("+crc")))
#define CRC_BYTE(crc, byte) __crc32cb(crc, byte)
#define CRC_WORD(crc, word) __crc32cd(crc, word)
#elif defined(__x86_64__)
#include <nmmintrin.h>
#define HARDWARE __attribute__((target("sse4.2")))
#define CRC_BYTE(crc, byte) _mm_crc32_u8(crc, byte)
#define CRC_WORD(crc, word) ((uint32_t)_mm_crc32_u64(crc, word))
#endif

enum { BYTE_VALUES = 256, WORD_SIZE = 8 };

/* tables[k][b]: what byte b does to the CRC when k more bytes follow it. */
static uint32_t tables[WORD_SIZE][BYTE_VALUES];
static bool in_hardware;

/* Before main: no call has to check. */
__attribute__((constructor)) static void tables_make(void)
{
	const uint32_t polynomial = 0x82f63b78;

	for (uint32_t b = 0; b < BYTE_VALUES; b++) {
		uint32_t crc = b;

		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? polynomial : 0);
		tables[0][b] = crc;
	}
	for (uint32_t b = 0; b < BYTE_VALUES; b++) {
		for (int k = 1; k < WORD_SIZE; k++)
			tables[k][b] = tables[k - 1][b] >> 8 ^ tables[0][tables[k - 1][b] & 0xff];
	}
#if defined(__aarch64__)
	in_hardware = getauxval(AT_HWCAP) & HWCAP_CRC32;
#elif defined(__x86_64__)
	in_hardware = __builtin_cpu_supports("sse4.2");
#endif
}

static uint64_t load_little(const unsigned char *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? __builtin_bswap64(word) : word;
}

uint32_t crc32c_software(uint32_t crc, const void *data, size_t size)
{
	const unsigned char *p = data;

	crc = ~crc;
	for (; size >= WORD_SIZE; size -= WORD_SIZE, p += WORD_SIZE) {
		uint64_t word = load_little(p) ^ crc;

		crc = 0;
		for (int k = 0; k < WORD_SIZE; k++)
			crc ^= tables[WORD_SIZE - 1 - k][word >> 8 * k & 0xff];
	}
	for (; size > 0; size--)
		crc = crc >> 8 ^ tables[0][(crc ^ *p++) & 0xff];
	return ~crc;
}

#ifdef HARDWARE
HARDWARE static uint32_t crc32c_hardware(uint32_t crc, const unsigned char *p, size_t size)
{
	crc = ~crc;
	for (; size >= WORD_SIZE; size -= WORD_SIZE, p += WORD_SIZE)
		crc = CRC_WORD(crc, load_little(p));
	for (; size > 0; size--)
		crc = CRC_BYTE(crc, *p++);
	return ~crc;
}
#endif

uint32_t crc32c(uint32_t crc, const void *data, size_t size)
{
#ifdef HARDWARE
	if (GA_LIKELY(in_hardware))
		return crc32c_hardware(crc, data, size);
#endif
	return crc32c_software(crc, data, size);
}
