/*
 * front_records.h — the binary door: batched submissions, results pushed. For gatherd's own client library.
 */
#pragma once
#include "broker.h"

int records_open(struct broker *b, int fd) GA_MUST_CHECK; /* as connection_open() */
