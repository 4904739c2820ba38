#include "http_policy.h"

#include "http_default.h"
#include "log.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool allows_all(const struct conf_list *allow)
{
	for (size_t i = 0; i < allow->count; i++)
		if (strcmp(allow->items[i], "all") == 0)
			return true;
	return false;
}

int http_policy_apply(const struct conf *conf, unsigned connections)
{
	struct ga_http_client_options options = { .user_agent = "gatherd",
						  .max_connections = connections };
	char *allow = conf_text(conf, "http.allow"), why[256] = "";
	ga_http_client *client;
	int error;

	options.allow = allows_all(&conf->http_allow) ? "*" : allow;
	error = ga_http_client_new(&options, why, sizeof(why), &client);
	free(allow);
	if (error < 0) {
		log_error("http.allow: %s", *why ? why : strerror(-error));
		return error;
	}
	client_set_default(client);
	return 0;
}
