/*
 * front_records.h — the binary door: batched submissions, results pushed. For gatherd's own client library.
 */
#pragma once
#include "broker.h"

extern const struct protocol records_protocol;

int records_open(struct broker *b, int fd) GA_MUST_CHECK; /* as connection_open() */
/* A job of this connection has ended. */
void records_finished(struct connection *c, const struct job *job);
