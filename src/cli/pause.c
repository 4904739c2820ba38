#include "limited.h"

static struct {
	bool key;
} given;

static const struct flag flags[] = {
	{ "key", 0, NULL, "NAME is a limit key's: a host's, say", .on = &given.key },
	{ 0 },
};

static int change(struct context *x, const char *suffix)
{
	if (x->command.operands.count != 1)
		return usage(x, "it takes the name of one queue, or with --key of one limit key");
	return limit_ask(x, "POST", given.key ? LIMITED_KEY : LIMITED_QUEUE,
			 x->command.operands.item[0], suffix, NULL);
}

static int run_pause(struct context *x)
{
	return change(x, "/pause");
}

static int run_resume(struct context *x)
{
	return change(x, "/resume");
}

const struct verb verb_pause = {
	.name = "pause",
	.operands = "QUEUE",
	.summary = "start no more jobs of a queue",
	.details = "Those that run go on, and more are accepted: they wait until the queue is resumed.\n",
	.examples = "  gather pause reports\n"
		    "  gather pause --key api.example.com\n",
	.flags = flags,
	.not_local = "a private daemon ends with this command",
	.run = run_pause,
};

const struct verb verb_resume = {
	.name = "resume",
	.operands = "QUEUE",
	.summary = "let a paused queue go on",
	.examples = "  gather resume reports\n",
	.flags = flags,
	.not_local = "a private daemon ends with this command",
	.run = run_resume,
};
