#include "session.h"
#include "local.h"
#include "output.h"
#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_SOCKET "/run/gatherd/gatherd.sock"

static volatile sig_atomic_t last_signal, signal_count;

static void on_signal(int number)
{
	last_signal = number;
	signal_count++;
}

void catch_signals(void)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
	/* Without SA_RESTART: a wait ends. */
	struct sigaction action = { .sa_handler = on_signal };

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		struct sigaction before;

		/* What nohup ignores stays ignored. */
		if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
			sigaction(numbers[i], &action, NULL);
	}
	signal(SIGPIPE, SIG_IGN);
}

int interrupted(void)
{
	return last_signal;
}

int interruptions(void)
{
	return signal_count;
}

int interrupted_status(void)
{
	return 128 + (last_signal ? last_signal : SIGINT);
}

const char *session_socket(const struct context *x)
{
	const char *path = x->local ? local_socket(x->local) : x->socket;

	if (!path)
		path = getenv("GATHER_SOCKET");
	return path && *path ? path : DEFAULT_SOCKET;
}

int session_unreachable(const struct context *x, int error)
{
	const char *path = session_socket(x);

	if (error == -EACCES || error == -EPERM) {
		say("not allowed to use %s: only its owner and its group may (%s)", path,
		    strerror(-error));
		return STATUS_NOT_ALLOWED;
	}
	say("no gatherd at %s (%s): start it (systemctl start gatherd), try `gather --local ...`, "
	    "or set GATHER_SOCKET",
	    path, strerror(-error));
	return STATUS_UNREACHABLE;
}

int session_open(struct context *x)
{
	int result;

	if (x->client)
		return STATUS_OK;
	if (x->use_local && !x->local) {
		result = local_start(&x->local);
		if (result != STATUS_OK)
			return result;
	}
	result = ga_client_connect(session_socket(x), &x->client);
	return result < 0 ? session_unreachable(x, result) : STATUS_OK;
}

void session_close(struct context *x)
{
	ga_client_close(x->client);
	x->client = NULL;
	local_stop(x->local);
	x->local = NULL;
}

int session_failed(struct context *x, int error)
{
	switch (error) {
	case -EINTR:
		return interrupted_status();
	case -EPIPE:
		say("gatherd at %s closed the connection", session_socket(x));
		local_show_log(x->local);
		return STATUS_UNREACHABLE;
	case -EPROTO:
		say("what answers at %s is not gatherd, or another version of it", session_socket(x));
		return STATUS_UNREACHABLE;
	case -EBUSY:
		say("gatherd at %s has as many clients as it takes (max_connections): try again soon",
		    session_socket(x));
		return STATUS_REFUSED;
	case -ETIMEDOUT:
		say("gatherd at %s did not answer in time", session_socket(x));
		return STATUS_PENDING;
	case -EMSGSIZE:
		say("too large: a job or request is at most 1 MiB");
		return STATUS_USAGE;
	default:
		say("talking to gatherd failed: %s", strerror(-error));
		return STATUS_UNREACHABLE;
	}
}

static int send_request(struct context *x, const char *method, const char *target,
			const struct strbuf *body, int64_t deadline, struct ga_response *ret_response)
{
	int result = session_open(x);

	if (result != STATUS_OK)
		return result;
	if (interrupted())
		return interrupted_status();
	result = ga_client_request(x->client, method, target, body ? body->data : NULL,
				   body ? body->size : 0, deadline, ret_response);
	return result < 0 ? session_failed(x, result) : STATUS_OK;
}

int ask_any(struct context *x, const char *method, const char *target, int64_t deadline,
	    struct ga_response *ret_response)
{
	return send_request(x, method, target, NULL, deadline, ret_response);
}

int ask(struct context *x, const char *method, const char *target, struct ga_response *ret_response)
{
	return ask_with(x, method, target, NULL, ret_response);
}

int ask_with(struct context *x, const char *method, const char *target, const struct strbuf *body,
	     struct ga_response *ret_response)
{
	int status = send_request(x, method, target, body, GA_CLIENT_FOREVER, ret_response);

	if (status == STATUS_OK && ret_response->status >= 400)
		return say_problem(NULL, ret_response);
	return status;
}

int status_of_http(unsigned status)
{
	switch (status) {
	case 401:
	case 403:
		return STATUS_NOT_ALLOWED;
	case 400:
	case 413:
	case 415:
	case 422:
		return STATUS_USAGE;
	case 429:
	case 503:
		return STATUS_REFUSED;
	case 408:
	case 504:
		return STATUS_PENDING;
	default:
		return status < 400 ? STATUS_OK : STATUS_FAILED;
	}
}

int say_problem(const char *what, const struct ga_response *response)
{
	json_t *problem = json_loadb(response->body.data, response->body.size, 0, NULL);
	const char *detail = json_string_value(json_object_get(problem, "detail"));
	const char *title = json_string_value(json_object_get(problem, "title"));

	say("%s%s%s", what ? what : "", what ? ": " : "",
	    detail  ? detail
	    : title ? title
		    : "gatherd refused without saying why");
	json_decref(problem);
	return status_of_http(response->status);
}
