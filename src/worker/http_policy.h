/*
 * http_policy.h — which addresses a worker's requests may reach, and by how many connections.
 *
 * One client for all of a worker's job types: the http type's requests, and those of plugins that name no client of their
 * own, all obey http.allow.
 */
#pragma once
#include "conf.h"

/* Make it so on this thread's loop, now or anew; requests that run go on. -EINVAL, with the reason logged: as before. */
int http_policy_apply(const struct conf *conf, unsigned connections) GA_MUST_CHECK;
