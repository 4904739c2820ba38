/*
 * failpoint.h — named points at which a test ends the process, or makes a step fail.
 *
 * Built in with -DGATHER_FAILPOINTS=ON only; otherwise they cost nothing. The environment says what happens:
 *
 *	GATHER_FAILPOINT=store.before_commit:3:kill,store.before_sync:1:fail
 *
 * NAME:COUNT:ACTION, done at the COUNT-th time that the process passes there. Actions: kill (SIGKILL), killall (its
 * process group), abort, exit (status 70, at once), stop (SIGSTOP), sleep (100 ms), fail (this time), broken (from then
 * on): the last two only where FAILPOINT_FAILS() asks. Any thread.
 */
#pragma once
#include <stdbool.h>

#ifdef GATHER_FAILPOINTS
#define FAILPOINT(name) failpoint_pass(name)
#define FAILPOINT_FAILS(name) failpoint_fails(name)
#else
#define FAILPOINT(name) ((void)0)
#define FAILPOINT_FAILS(name) false
#endif

void failpoint_pass(const char *name);
bool failpoint_fails(const char *name); /* whether the step that follows is to fail */
void failpoint_set(const char *text); /* as the environment would say; NULL: none. Before other threads pass any. */
