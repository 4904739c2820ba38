/*
 * http_default.h — the client of requests that name none.
 */
#pragma once
#include <gather/http.h>

/* From now on it is this one, for the loop of this thread; takes the caller's handle. What the one before asks goes on. */
void client_set_default(ga_http_client *client);
