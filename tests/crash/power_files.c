#include "power.h"
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void directory_empty(const char *path)
{
	char inner[512];
	struct dirent *entry;
	DIR *dir = opendir(path);

	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		snprintf(inner, sizeof(inner), "%s/%s", path, entry->d_name);
		if (unlink(inner) < 0) {
			directory_empty(inner);
			(void)rmdir(inner);
		}
	}
	closedir(dir);
}

void directory_fresh(const char *path)
{
	directory_empty(path);
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		err(2, "%s", path);
}

bool directories_equal(const char *a, const char *b, char *ret_why, size_t why_size)
{
	char path[2][320];
	struct dirent *entry;
	DIR *dir = opendir(a);
	bool same = true;

	while (dir && same && (entry = readdir(dir))) {
		size_t sizes[2], length = strlen(entry->d_name);

		/* The index of a write-ahead log is shared memory, made anew at each start. */
		if (entry->d_type != DT_REG ||
		    (length > 4 && strcmp(entry->d_name + length - 4, "-shm") == 0))
			continue;
		snprintf(path[0], sizeof(path[0]), "%s/%s", a, entry->d_name);
		snprintf(path[1], sizeof(path[1]), "%s/%s", b, entry->d_name);
		if (access(path[1], F_OK) < 0) {
			snprintf(ret_why, why_size, "%s is missing", path[1]);
			same = false;
			break;
		}
		char *bytes[2] = { log_read(path[0], &sizes[0]), log_read(path[1], &sizes[1]) };

		same = sizes[0] == sizes[1] && memcmp(bytes[0], bytes[1], sizes[0]) == 0;
		if (!same)
			snprintf(ret_why, why_size, "%s differs (%zu and %zu bytes)", path[0],
				 sizes[0], sizes[1]);
		free(bytes[0]);
		free(bytes[1]);
	}
	if (dir)
		closedir(dir);
	return same;
}
