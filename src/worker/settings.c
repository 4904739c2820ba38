#include "settings.h"

#include <gather/worker.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct setting {
	struct setting *next;
	char *text;
	char name[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* `work` handlers ask on threads of their own */
static const struct conf *current;
static struct setting *known;   /* of the current configuration */
static struct setting *retired; /* of earlier ones: somebody may still read them */

void settings_use(const struct conf *conf)
{
	pthread_mutex_lock(&lock);
	current = conf;
	while (known) {
		struct setting *s = known;

		known = s->next;
		s->next = retired;
		retired = s;
	}
	pthread_mutex_unlock(&lock);
}

static struct setting *setting_add(const char *name)
{
	struct setting *s = malloc(sizeof(*s) + strlen(name) + 1);

	if (!s)
		return NULL;
	strcpy(s->name, name);
	s->text = conf_text(current, name);
	s->next = known;
	known = s;
	return s;
}

const char *ga_worker_setting(const char *name)
{
	struct setting *s;

	pthread_mutex_lock(&lock);
	s = current ? known : NULL;
	while (s && strcmp(s->name, name) != 0)
		s = s->next;
	if (!s && current)
		s = setting_add(name);
	pthread_mutex_unlock(&lock);
	return s ? s->text : NULL;
}
