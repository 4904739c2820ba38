/*
 * Jobs of one type through the door for JSON lines, at most WINDOW in flight, by plain reads and writes:
 *
 *	lines SOCKET TYPE ARGS COUNT WINDOW
 */
#include "connection.h"

#define LINE_SIZE 512

/* The tag of a job is the time at which it was handed over. */
static size_t format_job(char *out, const char *type, const char *args)
{
	return (size_t)snprintf(out, LINE_SIZE,
				"{\"type\":\"%s\",\"args\":%s,\"wait\":true,\"tag\":%lld}\n", type,
				args, (long long)figures_now());
}

static void take_answer(const char *line, struct figures *f)
{
	const char *tag = strstr(line, "\"tag\":");

	if (!tag || !strstr(line, "\"state\":\"succeeded\""))
		figures_fail("answer: %s", line);
	figures_add(f, strtoll(tag + strlen("\"tag\":"), NULL, 10));
}

int main(int argc, char *argv[])
{
	static struct connection c;
	static struct figures f;
	int count, window;
	char *out;

	if (argc != 6 || strlen(argv[2]) + strlen(argv[3]) > LINE_SIZE - 64)
		return 2;
	count = atoi(argv[4]);
	window = atoi(argv[5]);
	out = malloc((size_t)window * LINE_SIZE);
	connection_open(&c, argv[1]);
	figures_start(&f);
	for (int sent = 0, done = 0; done < count;) {
		const char *line;
		size_t n = 0;

		for (; sent < count && sent - done < window; sent++)
			n += format_job(out + n, argv[2], argv[3]);
		connection_write(&c, out, n);
		for (line = connection_line(&c); line; line = connection_line_here(&c), done++)
			take_answer(line, &f);
	}
	figures_print(&f);
	free(out);
	return 0;
}
