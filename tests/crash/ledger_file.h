/*
 * ledger_file.h — the ledger's files, for who writes or reads them outside the workers.
 */
#pragma once
#include "ledger.h"
#include <stddef.h>

/* Append to DIRECTORY/NAME. A ledger that can't be written is of no use: ends the program. */
int ledger_open(const char *directory, const char *name);
void ledger_append(int fd, const struct ledger_entry *entries, size_t count);
/* All entries of DIRECTORY/NAME; to be freed. A missing file has none. */
size_t ledger_read(const char *directory, const char *name, struct ledger_entry **ret_entries);

uint64_t ledger_now(void);
/* What the submission of this number is like: the same whenever it is asked for, so that a repetition is one. */
uint64_t ledger_mix(uint64_t seed, uint64_t number);

int ledger_produce(int argc, char *argv[]);
int ledger_judge(int argc, char *argv[]);
