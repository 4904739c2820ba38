#include "http_policy.h"

#include "http_default.h"
#include "log.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int http_policy_apply(const struct conf *conf, unsigned connections)
{
	struct ga_http_client_options options = { .user_agent = "gatherd",
						  .max_connections = connections };
	char *allow = conf_text(conf, "http.allow"), why[256] = "";
	ga_http_client *client;
	int error;

	options.allow = allow;
	error = ga_http_client_new(&options, why, sizeof(why), &client);
	free(allow);
	if (error < 0) {
		log_error("http.allow: %s", *why ? why : strerror(-error));
		return error;
	}
	client_set_default(client);
	return 0;
}
