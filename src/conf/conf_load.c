/*
 * conf_load.c — from text to values: libconfuse reads the syntax, the table judges the values.
 *
 * Every option is a string, or a list of strings, to libconfuse; the table's types are applied in its validation
 * callback, where the line is known. libconfuse's scanner is global and passes no argument to callbacks: so there is one
 * load at a time in a process, and a pointer to it.
 */
#include "conf_row.h"
#include "text.h"
#include <confuse.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX (1u << 20)

struct load {
	struct conf *conf;
	struct conf_issue *issue;
	cfg_opt_t *options;
	cfg_t *cfg;
	const char *name; /* of the text that is being read */
	bool failed;      /* the issue is told; what libconfuse adds to it is noise */
	int error;
};

static struct load *loading; /* during cfg_parse_buf() alone */

static int load_begin(struct load *load, struct conf_issue *issue);
static int load_text(struct load *load, const char *name, const char *text);
static int load_finish(struct load *load, const char *name, int r, struct conf **ret_conf);
static int load_file(struct load *load, const char *path);
static int load_directory(struct load *load, const char *path);
static int read_file(const char *path, struct buf *out);
static int check_bytes(struct load *load, const char *name, const struct buf *content);
static void blank_comments(char *text);
static char *blank(char *p, char *end);
static int on_value(cfg_t *cfg, cfg_opt_t *option);
static void on_error(cfg_t *cfg, const char *format, va_list values);
static int take_values(struct load *load);

int conf_parse(const char *text, const char *name, struct conf **ret_conf, struct conf_issue *ret_issue)
{
	struct load load;
	int r = load_begin(&load, ret_issue);

	if (r >= 0)
		r = load_text(&load, name, text);
	return load_finish(&load, name, r, ret_conf);
}

int conf_load(const char *path, struct conf **ret_conf, struct conf_issue *ret_issue)
{
	struct load load;
	int r = load_begin(&load, ret_issue);

	if (r >= 0)
		r = load_file(&load, path);
	if (r >= 0)
		r = load_directory(&load, path);
	return load_finish(&load, path, r, ret_conf);
}

static int load_begin(struct load *load, struct conf_issue *issue)
{
	int r;

	*load = (struct load){ .issue = issue };
	issue->text[0] = '\0';
	r = conf_defaults(&load->conf);
	if (r < 0)
		return r;
	load->options = calloc(conf_table_size + 1, sizeof(cfg_opt_t));
	if (!load->options)
		return -ENOMEM;
	for (size_t i = 0; i < conf_table_size; i++) {
		const struct conf_row *row = &conf_table[i];

		if (row->type->field == FIELD_LIST)
			load->options[i] = (cfg_opt_t)CFG_STR_LIST(row->name, NULL, CFGF_NONE);
		else
			load->options[i] = (cfg_opt_t)CFG_STR(row->name, NULL, CFGF_NONE);
		load->options[i].validcb = on_value;
	}
	load->options[conf_table_size] = (cfg_opt_t)CFG_END();
	load->cfg = cfg_init(load->options, CFGF_NONE);
	if (!load->cfg)
		return -ENOMEM;
	cfg_set_error_function(load->cfg, on_error);
	return 0;
}

static int load_finish(struct load *load, const char *name, int r, struct conf **ret_conf)
{
	if (r >= 0)
		r = take_values(load);
	if (r >= 0)
		r = conf_check(load->conf, name, load->issue);
	if (load->cfg)
		cfg_free(load->cfg);
	free(load->options);
	if (r < 0) {
		if (!load->issue->text[0])
			snprintf(load->issue->text, sizeof(load->issue->text), "%.300s: %s", name,
				 strerror(-r));
		conf_free(load->conf);
		return r;
	}
	*ret_conf = load->conf;
	return 0;
}

static int load_text(struct load *load, const char *name, const char *text)
{
	char *plain = strdup(text);
	int r;

	if (!plain)
		return -ENOMEM;
	blank_comments(plain);
	load->name = name;
	loading = load;
	r = plain[strspn(plain, " \t\r\n")] ? cfg_parse_buf(load->cfg, plain) : CFG_SUCCESS;
	loading = NULL;
	free(plain);
	if (load->failed)
		return load->error;
	return r == CFG_SUCCESS ? 0 : -EINVAL;
}

static int load_file(struct load *load, const char *path)
{
	struct buf content = BUF_INIT;
	int r = read_file(path, &content);

	if (r == -EFBIG)
		snprintf(load->issue->text, sizeof(load->issue->text), "%.300s: larger than 1 MiB",
			 path);
	else if (r < 0)
		snprintf(load->issue->text, sizeof(load->issue->text), "%.300s: %s", path,
			 strerror(-r));
	if (r >= 0)
		r = check_bytes(load, path, &content);
	if (r >= 0)
		r = load_text(load, path, buf_data(&content));
	buf_done(&content);
	return r;
}

static int is_conf_file(const struct dirent *entry)
{
	size_t size = strlen(entry->d_name);

	return entry->d_name[0] != '.' && size > 5 && strcmp(entry->d_name + size - 5, ".conf") == 0;
}

/* By bytes, not by the locale's order. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* conf.d beside the file; that there is none is no fault. */
static int load_directory(struct load *load, const char *path)
{
	const char *slash = strrchr(path, '/');
	struct dirent **entries;
	char *directory, *file;
	int count, r = 0;

	if (asprintf(&directory, "%.*sconf.d", slash ? (int)(slash - path + 1) : 0, path) < 0)
		return -ENOMEM;
	count = scandir(directory, &entries, is_conf_file, by_name);
	if (count < 0)
		r = errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	if (r < 0)
		snprintf(load->issue->text, sizeof(load->issue->text), "%.300s: %s", directory,
			 strerror(-r));
	for (int i = 0; i < count; i++) {
		if (r >= 0 && asprintf(&file, "%s/%s", directory, entries[i]->d_name) >= 0) {
			r = load_file(load, file);
			free(file);
		}
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	free(directory);
	return r;
}

/* With a NUL behind it. -EFBIG past FILE_MAX; a FIFO without a writer reads as empty. */
static int read_file(const char *path, struct buf *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), r = 0;

	if (fd < 0)
		return -errno;
	while (r >= 0) {
		char *room = buf_reserve(out, 4096);
		ssize_t size = room ? read(fd, room, 4096) : -1;

		if (!room)
			r = -ENOMEM;
		else if (size < 0 && errno == EINTR)
			continue;
		else if (size < 0)
			r = -errno;
		else if (size == 0)
			break;
		else if (buf_size(out) + (size_t)size > FILE_MAX)
			r = -EFBIG;
		else
			buf_grew(out, (size_t)size);
	}
	close(fd);
	return r < 0 ? r : buf_append(out, "", 1);
}

static int check_bytes(struct load *load, const char *name, const struct buf *content)
{
	size_t size = buf_size(content) - 1;

	if (!memchr(buf_data(content), '\0', size) && utf8_valid(buf_data(content), size))
		return 0;
	snprintf(load->issue->text, sizeof(load->issue->text), "%.300s: not a text file in UTF-8",
		 name);
	return -EINVAL;
}

/* Comments become blanks before libconfuse sees them: it miscounts their lines. */
static void blank_comments(char *p)
{
	bool word = false; /* inside an unquoted word, where "//" stands for itself */

	while (*p) {
		char *end = p + 1;

		if (*p == '#' || (!word && p[0] == '/' && p[1] == '/')) {
			end = blank(p, p + strcspn(p, "\n"));
		} else if (p[0] == '/' && p[1] == '*' && strstr(p + 2, "*/")) {
			end = blank(p, strstr(p + 2, "*/") + 2);
		} else if (*p == '"' || *p == '\'') {
			while (*end && *end != *p)
				end += *end == '\\' && end[1] ? 2 : 1;
			end += *end != '\0';
		}
		word = end == p + 1 && !strchr(" \t\r\n={}(),+\"'", *p);
		p = end;
	}
}

static char *blank(char *p, char *end)
{
	for (; p < end; p++)
		if (*p != '\n')
			*p = ' ';
	return end;
}

/* The value just read is the option's last; a list calls once more at its closing brace. */
static int on_value(cfg_t *cfg, cfg_opt_t *option)
{
	const struct conf_row *row = conf_row_find(cfg_opt_name(option));
	unsigned count = cfg_opt_size(option);
	union conf_value value;
	const char *text;
	int r;

	if (!row || count == 0)
		return 0;
	text = cfg_opt_getnstr(option, count - 1);
	r = row->type->read(row, text ? text : "", &value);
	if (r >= 0) {
		if (row->type->field == FIELD_TEXT || row->type->field == FIELD_LIST)
			free(value.text);
		return 0;
	}
	if (r == -EINVAL)
		conf_complain(loading->issue, loading->name, cfg->line, row, text ? text : "");
	loading->failed = true;
	loading->error = r;
	return -1;
}

static void on_error(cfg_t *cfg, const char *format, va_list values)
{
	char text[256], name[256];

	if (!loading || loading->failed)
		return;
	loading->failed = true;
	loading->error = -EINVAL;
	vsnprintf(text, sizeof(text), format, values);
	if (sscanf(text, "no such option '%255[^']'", name) == 1) {
		conf_complain_unknown(loading->issue, loading->name, cfg->line, name);
		return;
	}
	snprintf(loading->issue->text, sizeof(loading->issue->text), "%.200s:%d: ", loading->name,
		 cfg->line);
	text_escape(text, strlen(text), loading->issue->text + strlen(loading->issue->text), 256);
}

/* Each has passed its check; what remains is memory. */
static int take_values(struct load *load)
{
	for (size_t i = 0; i < conf_table_size; i++) {
		const struct conf_row *row = &conf_table[i];
		unsigned count = cfg_size(load->cfg, row->name);
		const char **items, *wrong;
		int r;

		if (count == 0 || !cfg_getnstr(load->cfg, row->name, 0))
			continue;
		items = calloc(count, sizeof(*items));
		if (!items)
			return -ENOMEM;
		for (unsigned k = 0; k < count; k++)
			items[k] = cfg_getnstr(load->cfg, row->name, k);
		r = conf_assign(load->conf, row, items, count, &wrong);
		free(items);
		if (r < 0)
			return r;
	}
	return 0;
}
