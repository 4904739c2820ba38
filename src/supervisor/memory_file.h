/*
 * memory_file.h — memfds: how texts and shared pages reach the children without touching a disk.
 */
#pragma once
#include "compiler.h"
#include <stdbool.h>

/* A file of `size` zeroes, close-on-exec; `fixed`: its size is sealed, so that no one can pull a mapping from under
 * another. The descriptor, or -errno. */
int memory_file(const char *name, size_t size, bool fixed) GA_MUST_CHECK;
/* Replace the whole content. */
int memory_file_write(int fd, const void *data, size_t size) GA_MUST_CHECK;
