/*
 * settings.h — the configuration as job types see it: ga_worker_setting().
 *
 * Texts that were handed out stay valid for the process's life: a reload makes new ones.
 */
#pragma once
#include "conf.h"

/* Serve settings from this configuration, the caller's, which must outlive the next call. NULL: there is none. */
void settings_use(const struct conf *conf);
