#include "reference.h"
#include "runner_internal.h"
#include <errno.h>
#include <stdlib.h>

static int read_both(const struct record_job *record, json_t **ret_args, json_t **ret_inputs,
		     struct refusal *r)
{
	int error = json_read_object(record->args, "args", ret_args, r);

	if (error < 0)
		return error;
	/* Deeper than what clients may send: there are results in it. */
	*ret_inputs = json_loadb(record->inputs.data, record->inputs.size, 0, NULL);
	if (!*ret_inputs)
		return refuse(r, 400, "bad_argument", "args",
			      "the results that the arguments refer to came broken");
	return 0;
}

char *inputs_fill(const struct record_job *record, struct refusal *r)
{
	json_t *args = NULL, *inputs = NULL;
	char *text = NULL;
	int error = read_both(record, &args, &inputs, r);

	if (error == 0)
		error = references_fill(args, inputs, r);
	if (error == 0) {
		text = json_dumps(args, JSON_COMPACT);
		if (!text)
			refuse(r, 503, "no_memory", "args", "no memory to fill in the arguments");
	}
	json_decref(inputs);
	json_decref(args);
	return text;
}
