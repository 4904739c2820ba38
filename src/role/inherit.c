#include "inherit.h"
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Bounds what a confused parent could make a child allocate. */
enum { TEXT_MAX = 64 * 1024 * 1024 };

static const struct {
	const char *option;
	size_t offset;
	uint64_t max;
} arguments[] = {
	{ "--slot", offsetof(struct role_arguments, slot), UINT32_MAX },
	{ "--cpu", offsetof(struct role_arguments, cpu), UINT32_MAX },
	{ "--incarnation", offsetof(struct role_arguments, incarnation), UINT64_MAX },
	{ "--listeners", offsetof(struct role_arguments, listeners), 1024 },
	{ "--parent", offsetof(struct role_arguments, parent), INT_MAX },
	{ "--log-level", offsetof(struct role_arguments, log_level), 7 },
};

static int argument_set(struct role_arguments *args, const char *option, const char *text)
{
	unsigned long long value;
	char *end;

	for (size_t i = 0; i < ARRAY_SIZE(arguments); i++) {
		if (strcmp(option, arguments[i].option) != 0)
			continue;
		errno = 0;
		value = strtoull(text, &end, 10);
		if (text[0] < '0' || text[0] > '9' || *end || errno || value > arguments[i].max)
			return -EINVAL;
		*(uint64_t *)(void *)((char *)args + arguments[i].offset) = value;
		return 0;
	}
	return -EINVAL;
}

int role_arguments_parse(int argc, char *const argv[], struct role_arguments *ret_args)
{
	struct role_arguments args = { .cpu = UINT32_MAX };
	int r;

	if (argc < 3 || argc % 2 == 0 || strcmp(argv[1], "--role") != 0)
		return -EINVAL;
	args.name = argv[2];
	for (int i = 3; i < argc; i += 2) {
		r = argument_set(&args, argv[i], argv[i + 1]);
		if (r < 0)
			return r;
	}
	if (!args.parent)
		return -EINVAL;
	*ret_args = args;
	return 0;
}

int inherit_text(int fd, char **ret_text)
{
	struct stat st;
	size_t size, got = 0;
	char *text;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (st.st_size > TEXT_MAX)
		return -EFBIG;
	size = (size_t)st.st_size;
	text = malloc(size + 1);
	if (!text)
		return -ENOMEM;
	while (got < size) {
		ssize_t n = pread(fd, text + got, size - got, (off_t)got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		got += (size_t)n;
	}
	text[got] = '\0';
	*ret_text = text;
	return 0;
}

int inherit_page(int fd, struct shared_page **ret_page)
{
	struct shared_page *page;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size < (off_t)sizeof(*page))
		return -EINVAL;
	page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		return -errno;
	if (page->magic != SHARED_PAGE_MAGIC) {
		munmap(page, sizeof(*page));
		return -EINVAL;
	}
	*ret_page = page;
	return 0;
}

/* Notes are 4-byte aligned: header, name with padding, description with padding (elf(5)). */
static uint64_t build_id_in_notes(const char *at, size_t size)
{
	while (size >= sizeof(ElfW(Nhdr))) {
		ElfW(Nhdr) note;
		size_t name_size, whole;
		uint64_t id = 0;

		memcpy(&note, at, sizeof(note));
		name_size = ((size_t)note.n_namesz + 3) & ~(size_t)3;
		whole = sizeof(note) + name_size + (((size_t)note.n_descsz + 3) & ~(size_t)3);
		if (whole > size)
			return 0;
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
		    memcmp(at + sizeof(note), "GNU", 4) == 0) {
			memcpy(&id, at + sizeof(note) + name_size,
			       MIN(sizeof(id), (size_t)note.n_descsz));
			return id;
		}
		at += whole;
		size -= whole;
	}
	return 0;
}

static int build_id_visit(struct dl_phdr_info *info, size_t size GA_UNUSED, void *arg)
{
	uint64_t *id = arg;

	for (ElfW(Half) i = 0; i < info->dlpi_phnum && !*id; i++) {
		const ElfW(Phdr) *header = &info->dlpi_phdr[i];

		if (header->p_type == PT_NOTE)
			*id = build_id_in_notes(
				(const char *)(uintptr_t)(info->dlpi_addr + header->p_vaddr),
				header->p_memsz);
	}
	return 1; /* the program is the first object: no further ones */
}

uint64_t inherit_build_id(void)
{
	uint64_t id = 0;

	dl_iterate_phdr(build_id_visit, &id);
	return id;
}
