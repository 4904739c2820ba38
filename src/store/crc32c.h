/*
 * crc32c.h — the CRC of RFC 3720 (iSCSI, Castagnoli's polynomial): by the CPU's instruction where it has one.
 *
 * crc32c(0, "123456789", 9) is 0xe3069283; crc32c(crc32c(0, a), b) is that of a and b joined.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

uint32_t crc32c(uint32_t crc, const void *data, size_t size);
uint32_t crc32c_software(uint32_t crc, const void *data, size_t size); /* the same, without the instruction */
