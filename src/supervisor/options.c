#include "options.h"
#include "conf.h"
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPTION_DEV = 256, OPTION_PRIVATE, OPTION_READY_FD, OPTION_UNTIL_EOF, OPTION_HELP_OPTIONS };

static const struct option long_options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "test", no_argument, NULL, 't' },
	{ "option", required_argument, NULL, 'o' },
	{ "dev", no_argument, NULL, OPTION_DEV },
	{ "private", required_argument, NULL, OPTION_PRIVATE },
	{ "ready-fd", required_argument, NULL, OPTION_READY_FD },
	{ "until-eof", required_argument, NULL, OPTION_UNTIL_EOF },
	{ "help", no_argument, NULL, 'h' },
	{ "help-options", no_argument, NULL, OPTION_HELP_OPTIONS },
	{ "version", no_argument, NULL, 'V' },
	{ 0 },
};

static const char help_text[] =
	"Usage: gatherd [-c FILE] [-o NAME=VALUE]... [--dev]\n"
	"       gatherd -t [-c FILE] [-o NAME=VALUE]...\n"
	"\n"
	"The daemon: starts a broker and one worker for each core, and keeps them running.\n"
	"\n"
	"  -c, --config FILE        read FILE, and conf.d/*.conf beside it\n"
	"                           (default " GATHER_CONF_FILE ", if it exists)\n"
	"  -t, --test               check the configuration: exit status 0 if it is fine, else 78\n"
	"  -o, --option NAME=VALUE  set one option, over the file's; may be repeated\n"
	"      --dev                try it: no set-up, as any user, with its own directory\n"
	"      --private DIR        keep all files in DIR, which must be the caller's alone, and log errors only\n"
	"      --ready-fd N         write \"ready\" and a newline to descriptor N once jobs are served\n"
	"      --until-eof N        end at once when descriptor N reads end of file\n"
	"  -h, --help               this text\n"
	"      --help-options       the options of the configuration file\n"
	"  -V, --version            the version\n"
	"\n"
	"Signals: TERM and INT let running jobs finish (drain_timeout), a second one doesn't; HUP rereads the configuration.\n"
	"Exit status: 0 stopped as told, 1 it could not go on, 2 wrong usage, 78 wrong configuration or set-up.\n"
	"\n"
	"Examples:\n"
	"  gatherd --dev                             try it here, end it with Ctrl-C\n"
	"  gatherd --dev -o workers=1 -o log_level=debug\n"
	"  gatherd -t -c ./gatherd.conf              is this file right?\n"
	"  systemctl enable --now gatherd.socket     the installed service\n";

static int option_take(struct options *o, int option, char *value);
static int usage_error(const char *format, ...) GA_PRINTF(1, 2);

int options_parse(int argc, char *argv[], struct options *ret_options)
{
	struct options o = { .ready_fd = -1, .until_eof_fd = -1 };
	int option, r = 0;

	o.settings = calloc((size_t)argc, sizeof(*o.settings));
	if (!o.settings)
		return -ENOMEM;
	while (r == 0 && o.mode != MODE_DONE &&
	       (option = getopt_long(argc, argv, "c:to:hV", long_options, NULL)) != -1)
		r = option_take(&o, option, optarg);
	if (r == 0 && o.mode != MODE_DONE && optind < argc)
		r = usage_error("unexpected argument '%s'", argv[optind]);
	if (r == 0 && o.dev && o.private_dir)
		r = usage_error("--dev and --private exclude each other");
	if (r < 0) {
		options_done(&o);
		return r;
	}
	*ret_options = o;
	return 0;
}

void options_done(struct options *o)
{
	free(o->settings);
	o->settings = NULL;
}

static int usage_error(const char *format, ...)
{
	va_list values;

	fputs("gatherd: ", stderr);
	va_start(values, format);
	vfprintf(stderr, format, values);
	va_end(values);
	fputs("\nTry 'gatherd --help'.\n", stderr);
	return -EINVAL;
}

/* An open descriptor other than the standard output and error. */
static int descriptor_parse(const char *text, int *ret_fd)
{
	char *end;
	long fd;

	errno = 0;
	fd = strtol(text, &end, 10);
	if (end == text || *end || errno || fd < 0 || fd > INT_MAX)
		return usage_error("'%s' is not the number of a descriptor", text);
	if (fcntl((int)fd, F_GETFD) < 0)
		return usage_error("descriptor %s is not open", text);
	*ret_fd = (int)fd;
	return 0;
}

static int done_after(struct options *o)
{
	o->mode = MODE_DONE;
	return 0;
}

static int option_take(struct options *o, int option, char *value)
{
	switch (option) {
	case 'c':
		o->config = value;
		return 0;
	case 't':
		o->mode = MODE_CHECK;
		return 0;
	case 'o':
		o->settings[o->setting_count++] = value;
		return 0;
	case OPTION_DEV:
		o->dev = true;
		return 0;
	case OPTION_PRIVATE:
		o->private_dir = value;
		return value[0] == '/'
			       ? 0
			       : usage_error("--private takes an absolute path, not '%s'", value);
	case OPTION_READY_FD:
		return descriptor_parse(value, &o->ready_fd);
	case OPTION_UNTIL_EOF:
		return descriptor_parse(value, &o->until_eof_fd);
	case 'h':
		fputs(help_text, stdout);
		return done_after(o);
	case OPTION_HELP_OPTIONS:
		conf_help(stdout);
		return done_after(o);
	case 'V':
		puts("gatherd " GATHER_VERSION);
		return done_after(o);
	default: /* getopt has said what */
		fputs("Try 'gatherd --help'.\n", stderr);
		return -EINVAL;
	}
}
