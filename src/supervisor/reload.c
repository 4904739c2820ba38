#include "configuration.h"
#include "memory_file.h"
#include "state.h"
#include <stdlib.h>
#include <string.h>

static int hand_out(struct supervisor *s, const struct conf *next)
{
	char *text = conf_dump(next);
	int r;

	if (!text)
		return -1;
	r = memory_file_write(s->launch.config, text, strlen(text));
	free(text);
	return r;
}

static void take(struct supervisor *s, struct conf *next)
{
	struct conf_issue kept;
	int r = conf_reload(s->conf, next, &kept);

	if (r >= 0 && hand_out(s, next) < 0)
		r = -1;
	if (r < 0) {
		log_error("the configuration can't be handed to the processes: it stays as it was");
		conf_free(next);
		return;
	}
	if (r > 0)
		log_warning("these options change at the next start only: %s", kept.text);
	conf_free(s->conf);
	s->conf = next;
	s->launch.level = configuration_log_level(next);
	log_set_level(s->launch.level);
	family_tell(s, CONTROL_RELOAD);
	log_notice("configuration reloaded");
}

void reload_tick(struct supervisor *s)
{
	struct conf_issue issue;
	struct conf *next;
	struct child *c;

	if (!s->reload_wanted || s->phase != PHASE_SERVING)
		return;
	/* A child that starts may be reading the text that would be replaced: it must not see half of it. */
	for (unsigned i = 0; (c = family_at(s, i)); i++)
		if (c->state == CHILD_STARTING)
			return;
	s->reload_wanted = false;
	service_reloading(false);
	if (configuration_load(s->options, &next, &issue) < 0)
		log_error("not reloaded, the configuration stays as it was: %s", issue.text);
	else
		take(s, next);
	service_reloading(true);
}
