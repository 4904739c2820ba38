#include "ids.h"
#include "output.h"
#include "results.h"
#include "session.h"
#include <stdio.h>
#include <string.h>

/* Says what the HTTP status alone doesn't: 409 is "not yet", or the job's failure. */
static int no_result(const char *id, const struct ga_response *response)
{
	json_t *problem = json_loadb(response->body.data, response->body.size, 0, NULL);
	const char *code = json_string_value(json_object_get(problem, "code"));
	bool pending = code && strcmp(code, "not_finished") == 0;
	int status = say_problem(id, response);

	json_decref(problem);
	return pending ? STATUS_PENDING : status;
}

static void put_object(const char *id, struct ga_bytes body)
{
	struct strbuf *out = output();

	sb_printf(out, "{\"id\":\"%s\"", id);
	put_body(out, body);
	sb_text(out, "}\n");
}

static int result(struct context *x, const char *id)
{
	struct ga_response response;
	char target[128];
	int status;

	snprintf(target, sizeof(target), "/v1/jobs/%s/result", id);
	status = ask_any(x, "GET", target, GA_CLIENT_FOREVER, &response);
	if (status != STATUS_OK)
		return status;
	if (response.status >= 400)
		return no_result(id, &response);
	if (x->format == FORMAT_TEXT)
		put_raw_body(output(), response.body,
			     x->command.operands.count > 1 ||
				     strncmp(response.content_type, "application/json", 16) == 0);
	else if (x->format == FORMAT_ID)
		sb_printf(output(), "%s\n", id);
	else if (x->format != FORMAT_NONE)
		put_object(id, response.body);
	return STATUS_OK;
}

static int run(struct context *x)
{
	return each_id(x, result);
}

const struct verb verb_result = {
	.name = "result",
	.operands = "ID... | -",
	.summary = "print the results of finished jobs",
	.details = "Exit status 3: not finished yet (`gather wait ID` waits); 1: it failed.\n",
	.examples = "  gather result 01981f2c-8a3b-7000-8000-0123456789ab > page.html\n",
	.not_local = "a private daemon has no earlier jobs",
	.run = run,
};
