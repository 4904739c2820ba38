/*
 * webhook.h — a job's end told to a URL: by an http job of its own, signed as Standard Webhooks has it.
 *
 * The call is handed in with what the job's end changes: of a durable job both are one batch of the store, so that neither
 * is lost without the other. It is as durable as the job, is refused by no limit, and is tried again for some hours. Its
 * body is the job as it is shown; of one that is too large the result's body is left out, then all but its state.
 * Each try is signed when it is sent, with its own time: receivers refuse old ones.
 */
#pragma once
#include "broker.h"

/* Read the secret: of the option webhook.secret_file, else the systemd credential "webhook"; without one calls aren't
 * signed. -EBADMSG: it can't be used (logged). */
int webhooks_open(struct broker *b) GA_MUST_CHECK;
void webhooks_close(struct broker *b);

/* Whether calls may be made to it; where it leads is checked when one is, as of every http job. */
bool webhook_url_valid(const char *url);

/* A job has just ended. Durable: before it is saved. */
void webhook_call(struct broker *b, const struct job *job);
/* The same while the engine's actions are carried out: the call is made by webhooks_flush(). */
void webhook_call_later(struct broker *b, const struct job *job);
void webhooks_flush(struct broker *b);

/* The arguments of a call, as they are sent now: in `own`, or as they are without a key. */
struct span webhook_sign_call(struct broker *b, struct span args, struct buf *own);
