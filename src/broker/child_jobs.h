/*
 * child_jobs.h — jobs that running attempts submit: they come by their worker, and their ends go back there.
 */
#pragma once
#include "broker.h"
#include "record.h"

/* CHILD, CHILD_CANCEL, PARK or UNPARK from the worker in a slot. */
void children_hear(struct broker *b, uint32_t slot, const struct record *r);
/* A job has finished: if it is an attempt's child, its worker is told. Whether it is. */
bool children_tell(struct broker *b, const struct job *job);
