/*
 * supervisor.h — the process above all others: it starts the roles, keeps them running and ends them.
 *
 * One thread, one poll(2) loop: signals by signalfd, the children's control channels, timers as deadlines on
 * CLOCK_MONOTONIC. It speaks no ZeroMQ, keeps no jobs and parses nothing that a client sent, so that little can end it.
 */
#pragma once
#include "options.h"

/* Serve until told to stop, or until it can't go on; returns the exit status. Call it once in a process. */
int supervise(const struct options *o);
