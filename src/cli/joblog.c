#include "joblog.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEADER "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n"
#define SEQ_MAX UINT64_C(1000000000)

static bool read_log(struct joblog *log, FILE *f, enum resume resume, char *why, size_t why_size);

bool joblog_open(struct joblog *log, const char *path, enum resume resume, char *why, size_t why_size)
{
	bool anew = resume == RESUME_NOT;
	/* The commands in it may hold what is nobody else's business. */
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | (anew ? O_TRUNC : O_APPEND), 0600);

	*log = (struct joblog){ 0 };
	log->file = fd >= 0 ? fdopen(fd, anew ? "w" : "a+") : NULL;
	if (!log->file) {
		snprintf(why, why_size, "%s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return false;
	}
	if (resume != RESUME_NOT && !read_log(log, log->file, resume, why, why_size)) {
		joblog_close(log);
		return false;
	}
	fseek(log->file, 0, SEEK_END);
	if (ftell(log->file) <= 0)
		fputs(HEADER, log->file);
	return true;
}

static bool mark(struct joblog *log, uint64_t seq, bool done)
{
	if (seq >= log->done_size) {
		uint64_t size = (seq + 1024) / 8 * 2;
		unsigned char *bits = realloc(log->done, size);

		if (!bits)
			return false;
		memset(bits + log->done_size / 8, 0, size - log->done_size / 8);
		log->done = bits;
		log->done_size = size * 8;
	}
	if (done)
		log->done[seq / 8] |= (unsigned char)(1u << seq % 8);
	else
		log->done[seq / 8] &= (unsigned char)~(1u << seq % 8);
	return true;
}

static bool read_log(struct joblog *log, FILE *f, enum resume resume, char *why, size_t why_size)
{
	char *line = NULL;
	size_t room = 0;
	off_t whole = 0; /* bytes of complete lines */
	bool good = true;

	rewind(f);
	for (uint64_t number = 1; good && getline(&line, &room, f) > 0; number++) {
		uint64_t seq;
		int exit_value;

		/* A last line without its end was cut off by a crash: that job runs again. */
		if (!strchr(line, '\n'))
			break;
		whole += (off_t)strlen(line);
		if (number == 1 && strcmp(line, HEADER) == 0)
			continue;
		good = sscanf(line, "%" SCNu64 "\t%*[^\t]\t%*[^\t]\t%*[^\t]\t%*[^\t]\t%*[^\t]\t%d\t",
			      &seq, &exit_value) == 2 &&
		       seq > 0 && seq <= SEQ_MAX &&
		       mark(log, seq, resume == RESUME_UNLOGGED || exit_value == 0);
		if (!good)
			snprintf(why, why_size, "line %" PRIu64 " of it is not a job log's", number);
	}
	free(line);
	if (good && ftruncate(fileno(f), whole) < 0) {
		snprintf(why, why_size, "%s", strerror(errno));
		return false;
	}
	return good;
}

bool joblog_skips(struct joblog *log, uint64_t seq)
{
	bool skip = seq < log->done_size && log->done[seq / 8] >> seq % 8 & 1;

	log->skipped += skip;
	return skip;
}

void joblog_add(struct joblog *log, const struct joblog_line *line)
{
	fprintf(log->file, "%" PRIu64 "\tgatherd\t%.3f\t%10.3f\t%zu\t%zu\t%d\t0\t", line->seq,
		(double)line->start_wall / 1e9, line->runtime_s, line->sent, line->received,
		line->exit_value);
	for (const char *p = line->command; *p; p++)
		putc(*p == '\t' || *p == '\n' || *p == '\r' ? ' ' : *p, log->file);
	putc('\n', log->file);
}

bool joblog_close(struct joblog *log)
{
	bool good = true;

	if (log->file) {
		good = !ferror(log->file);
		good = fclose(log->file) == 0 && good;
	}
	free(log->done);
	*log = (struct joblog){ 0 };
	return good;
}
