/* Where limits come from: the configuration's defaults, and what was set by request and kept since. */
#include "json_write.h"
#include "keep.h"
#include "limit_form.h"
#include "log.h"
#include <errno.h>

#define KIND "limit"

static const struct {
	const char *prefix;
	enum limit_kind kind;
} names[] = { { "queue/", LIMIT_QUEUE }, { "key/", LIMIT_KEY } };

void limits_configure(struct broker *b)
{
	const struct limit key = { .concurrency = (uint32_t)b->conf->http_per_host,
				   .max_pending = (uint64_t)b->conf->limits_key_pending },
			   queue = { .max_pending = (uint64_t)b->conf->limits_queue_pending };

	if (engine_set_limit(b->engine, LIMIT_KEY, SPAN(""), &key) < 0 ||
	    engine_set_limit(b->engine, LIMIT_QUEUE, SPAN(""), &queue) < 0)
		log_error("the configured limits don't hold");
}

static int put_back(struct broker *b, enum limit_kind kind, struct span name, json_t *body)
{
	struct limit limit = { 0 };
	struct refusal refusal;
	bool own = json_is_true(json_object_get(body, "own"));
	bool paused = json_is_true(json_object_get(body, "paused"));
	int r = 0;

	json_object_del(body, "own");
	json_object_del(body, "paused");
	if (limit_read(body, &limit, &refusal) < 0)
		return -EINVAL;
	if (own)
		r = engine_set_limit(b->engine, kind, name, &limit);
	if (r == 0 && paused)
		r = engine_pause(b->engine, kind, name);
	return r;
}

void limits_take(struct broker *b, struct span name, struct span text)
{
	struct refusal refusal;
	json_t *body = NULL;
	int r = -EINVAL;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		size_t size = strlen(names[i].prefix);

		if (name.size <= size || memcmp(name.data, names[i].prefix, size) != 0)
			continue;
		if (json_read_object(text, "a limit", &body, &refusal) == 0)
			r = put_back(b, names[i].kind,
				     (struct span){ name.data + size, name.size - size }, body);
		json_decref(body);
		break;
	}
	if (r < 0)
		log_error("the stored limit %.*s doesn't hold: %s", (int)name.size, name.data,
			  strerror(-r));
}

int limits_keep(struct broker *b, enum limit_kind kind, struct span name)
{
	struct buf full = BUF_INIT, body = BUF_INIT;
	struct limit_view v;
	int r;

	if (engine_limit_find(b->engine, kind, name, &v) == 0 && (v.own || v.paused)) {
		json_put_literal(&body, "{");
		json_put_key(&body, "own");
		json_put_boolean(&body, v.own);
		json_put_key(&body, "paused");
		json_put_boolean(&body, v.paused);
		if (v.own)
			limit_put(&body, &v.limit);
		json_put_literal(&body, "}");
	}
	r = buf_printf(&full, "%s%.*s", names[kind].prefix, (int)name.size, name.data);
	if (r >= 0)
		r = keep_document(b, SPAN(KIND), (struct span){ buf_data(&full), buf_size(&full) },
				  (struct span){ buf_data(&body), buf_size(&body) });
	buf_done(&full);
	buf_done(&body);
	return r < 0 ? r : 0;
}
