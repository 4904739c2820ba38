#include "webhook.h"
#include "clock.h"
#include "job_row.h"
#include "job_view.h"
#include "json_write.h"
#include "limit_key.h"
#include "log.h"
#include "submit.h"
#include "webhook_sign.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define QUEUE "webhooks"
#define CREDENTIAL "webhook"
#define RESULT_BODY_MAX (256u << 10) /* more isn't sent along */
#define CALL_MAX (1u << 20)          /* as large as a job's arguments may be */

struct webhooks {
	struct webhook_keys keys; /* none: calls aren't signed */
	struct buf later;         /* struct bytes *: jobs to be handed in */
};

/* ---- the secret ---- */

/* Where it is; false: there is none. */
static bool find_secret(const struct broker *b, char *path, size_t path_size)
{
	const char *directory = getenv("CREDENTIALS_DIRECTORY");

	if (b->conf->webhook_secret_file[0]) {
		snprintf(path, path_size, "%s", b->conf->webhook_secret_file);
		return true;
	}
	return directory && snprintf(path, path_size, "%s/" CREDENTIAL, directory) < (int)path_size &&
	       access(path, F_OK) == 0;
}

static int read_secret(const char *path, struct webhook_keys *ret_keys)
{
	char text[WEBHOOK_KEYS_MAX * 128];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof(text));
	int r = size < 0 ? -errno : 0;

	if (fd >= 0)
		close(fd);
	if (r == 0)
		r = webhook_keys_read((struct span){ text, (size_t)size }, ret_keys);
	if (size > 0)
		explicit_bzero(text, (size_t)size);
	if (r == -EINVAL)
		log_error("webhook.secret_file: %s takes lines of whsec_ and 24 to 64 bytes in base64",
			  path);
	else if (r < 0)
		log_error("webhook.secret_file: %s: %s", path, strerror(-r));
	return r < 0 ? -EBADMSG : 0;
}

int webhooks_open(struct broker *b)
{
	struct webhook_keys keys = { 0 };
	char path[4096];
	int r = 0;

	if (find_secret(b, path, sizeof(path)))
		r = read_secret(path, &keys);
	if (r < 0)
		return r;
	if (!b->webhooks)
		b->webhooks = calloc(1, sizeof(*b->webhooks));
	if (!b->webhooks)
		return -ENOMEM;
	b->webhooks->keys = keys;
	webhook_keys_forget(&keys);
	return 0;
}

void webhooks_close(struct broker *b)
{
	struct webhooks *w = GA_TAKE_PTR(b->webhooks);

	if (!w)
		return;
	for (; buf_size(&w->later) > 0; buf_consume(&w->later, sizeof(struct bytes *))) {
		struct bytes *call;

		memcpy(&call, buf_data(&w->later), sizeof(call));
		bytes_unref(call);
	}
	buf_done(&w->later);
	webhook_keys_forget(&w->keys);
	free(w);
}

/* ---- the call ---- */

bool webhook_url_valid(const char *url)
{
	char host[LIMIT_KEY_MAX + 1];

	return (strncasecmp(url, "http://", 7) == 0 || strncasecmp(url, "https://", 8) == 0) &&
	       limit_key_of_url(url, host) > 0 && !strpbrk(url, " \t\r\n");
}

/* What is told of the job, the largest that fits first. */
enum telling { TELL_WHOLE, TELL_NO_BODY, TELL_LINE };

static void put_payload(struct broker *b, const struct job *job, enum telling telling, struct buf *out)
{
	struct job_facts facts;

	facts_of_job(b, job, &facts);
	if (telling != TELL_WHOLE || facts.body.size > RESULT_BODY_MAX)
		facts.body = (struct span){ 0 };
	job_view(&facts, telling == TELL_LINE ? VIEW_LINE : VIEW_WHOLE, out);
}

/* Each end of a job is an event of its own: one that is retried by hand ends again. */
static void put_headers(struct broker *b, const struct job *job, struct buf *out)
{
	char id[UUID_TEXT_SIZE + 24];

	uuid_format(&job->id, id);
	sprintf(id + strlen(id), "-%lld",
		(long long)((job->finished_at + b->wall_offset) / NSEC_PER_MSEC));
	json_put_literal(out, ",\"headers\":{\"content-type\":\"application/json\",\"webhook-id\":");
	json_put_string(out, span_of(id));
	json_put_literal(out, "}");
}

static void put_call(struct broker *b, const struct job *job, struct span url, enum telling telling,
		     struct buf *out)
{
	struct buf payload = BUF_INIT;

	put_payload(b, job, telling, &payload);
	const struct span body = { buf_data(&payload), buf_size(&payload) };

	buf_clear(out);
	json_put_literal(out, "{\"type\":\"http\",\"" CALL_FIELD "\":true,\"queue\":\"" QUEUE
			      "\",\"retries\":{\"max\":8,"
			      "\"initial\":\"2s\",\"factor\":4,\"maximum\":\"1h\"},\"durability\":");
	json_put_string(out, span_of(job_durability_name(job->profile->durability)));
	json_put_literal(out, ",\"args\":{\"method\":\"POST\",\"follow\":0,\"save\":\"none\",\"url\":");
	json_put_string(out, url);
	put_headers(b, job, out);
	json_put_key(out, "body");
	json_put_string(out, body);
	json_put_literal(out, "}}");
	buf_done(&payload);
}

/* The http job that makes the call; NULL: the job has no webhook. */
static struct bytes *make_call(struct broker *b, const struct job *job)
{
	struct buf call = BUF_INIT;
	const struct bytes *url = job->profile->options ? job_options(b, job)->webhook : NULL;
	struct bytes *made;

	if (!url)
		return NULL;
	for (enum telling t = TELL_WHOLE; t <= TELL_LINE; t++) {
		put_call(b, job, (struct span){ url->data, url->size }, t, &call);
		if (buf_size(&call) <= CALL_MAX)
			break;
	}
	made = bytes_new(buf_data(&call), buf_size(&call));
	buf_done(&call);
	return made;
}

static void hand_in(struct broker *b, struct bytes *call)
{
	const struct submit_origin origin = { .exempt = true, .calls_webhook = true };
	struct span text = { call->data, call->size };
	struct submitted unused;
	json_t *object;
	struct refusal r;
	int error = json_read_object(text, "the call", &object, &r);

	if (error == 0) {
		error = submit_object(b, object, text, &origin, &unused, &r);
		json_decref(object);
	}
	if (error < 0)
		log_error("a webhook can't be called: %s", r.message);
	bytes_unref(call);
}

void webhook_call(struct broker *b, const struct job *job)
{
	struct bytes *call = make_call(b, job);

	if (call)
		hand_in(b, call);
}

void webhook_call_later(struct broker *b, const struct job *job)
{
	struct bytes *call = make_call(b, job);

	if (call && buf_append(&b->webhooks->later, &call, sizeof(call)) < 0)
		abort();
}

void webhooks_flush(struct broker *b)
{
	struct buf *later = &b->webhooks->later;

	for (; buf_size(later) > 0; buf_consume(later, sizeof(struct bytes *))) {
		struct bytes *call;

		memcpy(&call, buf_data(later), sizeof(call));
		hand_in(b, call);
	}
}

/* ---- each try of it ---- */

static void set_header(json_t *headers, const char *name, const char *value)
{
	json_object_set_new(headers, name, json_string(value));
}

struct span webhook_sign_call(struct broker *b, struct span args, struct buf *own)
{
	const struct webhook_keys *keys = &b->webhooks->keys;
	int64_t now = clock_wall() / NSEC_PER_SEC;
	char timestamp[24], signature[WEBHOOK_SIGNATURE_SIZE], *text = NULL;
	json_t *object, *headers;
	struct refusal unused;
	const char *id;

	if (json_read_object(args, "args", &object, &unused) < 0)
		return args;
	const json_t *body = json_object_get(object, "body");

	headers = json_object_get(object, "headers");
	id = json_string_value(json_object_get(headers, "webhook-id"));
	if (id && json_is_string(body)) {
		sprintf(timestamp, "%lld", (long long)now);
		set_header(headers, "webhook-timestamp", timestamp);
		if (keys->count > 0) {
			webhook_sign(keys, id, now,
				     (struct span){ json_string_value(body), json_string_length(body) },
				     signature);
			set_header(headers, "webhook-signature", signature);
		}
		text = json_dumps(object, JSON_COMPACT);
	}
	json_decref(object);
	if (text && buf_append_text(own, text) == 0)
		args = (struct span){ buf_data(own), buf_size(own) };
	free(text);
	return args;
}
