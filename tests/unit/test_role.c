/* What a child reads of its inheritance: the command line, memfds, the control channel. */
#include "clock.h"
#include "inherit.h"
#include "tap_main.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static int parse(const char *const *argv, struct role_arguments *ret_args)
{
	int argc = 0;

	while (argv[argc])
		argc++;
	return role_arguments_parse(argc, (char *const *)(uintptr_t)argv, ret_args);
}

static void the_supervisors_command_line_is_read(void **state GA_UNUSED)
{
	static const char *const argv[] = {
		"gatherd",
		"--role",
		"worker",
		"--slot",
		"3",
		"--cpu",
		"4294967295",
		"--parent",
		"77",
		"--listeners",
		"0",
		"--incarnation",
		"18446744073709551615",
		"--log-level",
		"7",
		NULL,
	};
	struct role_arguments args;

	assert_int_equal(parse(argv, &args), 0);
	assert_string_equal(args.name, "worker");
	assert_int_equal(args.slot, 3);
	assert_int_equal(args.cpu, UINT32_MAX);
	assert_int_equal(args.parent, 77);
	assert_true(args.incarnation == UINT64_MAX);
	assert_int_equal(args.log_level, 7);
}

static void a_command_line_by_hand_is_refused(void **state GA_UNUSED)
{
	static const char *const lines[][8] = {
		{ "gatherd", "--role" },
		{ "gatherd", "--role", "worker" },
		{ "gatherd", "--role", "worker", "--parent" },
		{ "gatherd", "--role", "worker", "--parent", "0" },
		{ "gatherd", "--role", "worker", "--parent", "-5" },
		{ "gatherd", "--role", "worker", "--parent", "99999999999" },
		{ "gatherd", "--role", "worker", "--parent", "7x" },
		{ "gatherd", "--role", "worker", "--parent", "" },
		{ "gatherd", "--role", "worker", "--colour", "7" },
		{ "gatherd", "--role", "worker", "--parent", "7", "--slot", "4294967296" },
		{ "gatherd", "worker", "--role", "--parent", "7" },
	};
	struct role_arguments args = { .slot = 42 };

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		assert_int_equal(parse(lines[i], &args), -EINVAL);
	assert_int_equal(args.slot, 42);
}

static void a_text_is_read_whole_without_moving_the_shared_offset(void **state GA_UNUSED)
{
	int fd = memfd_create("text", 0);
	char *text;

	assert_int_equal(write(fd, "workers = 2\n", 12), 12);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(inherit_text(fd, &text), 0);
		assert_string_equal(text, "workers = 2\n");
		free(text);
	}
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 12);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(inherit_text(fd, &text), 0);
	assert_string_equal(text, "");
	free(text);
	close(fd);
}

static void what_is_no_file_is_no_text(void **state GA_UNUSED)
{
	int pair[2];
	char *text;

	assert_int_equal(pipe(pair), 0);
	assert_int_equal(inherit_text(pair[0], &text), -EINVAL);
	assert_int_equal(inherit_text(-1, &text), -EBADF);
	close(pair[0]);
	close(pair[1]);
}

static void a_page_must_be_large_enough_and_marked(void **state GA_UNUSED)
{
	int fd = memfd_create("page", 0);
	struct shared_page *page, *mine, marked = { .magic = SHARED_PAGE_MAGIC };

	assert_int_equal(inherit_page(fd, &page), -EINVAL);
	assert_int_equal(ftruncate(fd, sizeof(*page)), 0);
	assert_int_equal(inherit_page(fd, &page), -EINVAL);
	assert_int_equal(pwrite(fd, &marked, sizeof(marked), 0), sizeof(marked));
	assert_int_equal(inherit_page(fd, &page), 0);

	mine = mmap(NULL, sizeof(*mine), PROT_READ, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(mine, MAP_FAILED);
	role_heartbeat(page, 5 * NSEC_PER_SEC, 7);
	assert_int_equal(atomic_load(&mine->heartbeat), 5 * NSEC_PER_SEC);
	assert_int_equal(atomic_load(&mine->loop_lag_ns), 7);
	role_heartbeat(page, 6 * NSEC_PER_SEC, -3);
	assert_int_equal(atomic_load(&mine->loop_lag_ns), 0);
	munmap(page, sizeof(*page));
	munmap(mine, sizeof(*mine));
	close(fd);
}

static void control_messages_arrive_whole_and_in_order(void **state GA_UNUSED)
{
	struct control_message m = { .kind = CONTROL_WORKER_LOST, .slot = 1, .status = -4 }, got;
	int pair[2], sent = 0;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	assert_int_equal(control_receive(pair[1], &got), -EAGAIN);
	for (;; sent++) {
		int r;

		m.token = (uint64_t)sent;
		r = control_send(pair[0], &m);
		if (r < 0) {
			assert_int_equal(r, -EAGAIN);
			break;
		}
	}
	assert_true(sent > 10);
	for (int i = 0; i < sent; i++) {
		assert_int_equal(control_receive(pair[1], &got), 0);
		assert_int_equal(got.kind, CONTROL_WORKER_LOST);
		assert_int_equal(got.token, i);
		assert_int_equal(got.status, -4);
	}
	assert_int_equal(control_receive(pair[1], &got), -EAGAIN);
	close(pair[0]);
	close(pair[1]);
}

static void a_closed_channel_says_that_the_other_is_gone(void **state GA_UNUSED)
{
	struct control_message m = { .kind = CONTROL_READY };
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	close(pair[0]);
	assert_int_equal(control_receive(pair[1], &m), -EPIPE);
	assert_int_equal(control_send(pair[1], &m), -EPIPE);
	assert_int_equal(m.kind, CONTROL_READY);
	close(pair[1]);
}

static void a_packet_of_another_size_is_refused_and_skipped(void **state GA_UNUSED)
{
	struct control_message m = { .kind = CONTROL_READY }, got = { 0 };
	char large[sizeof(m) + 1] = { 0 };
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	assert_int_equal(send(pair[0], "x", 1, 0), 1);
	assert_int_equal(send(pair[0], large, sizeof(large), 0), sizeof(large));
	assert_int_equal(control_send(pair[0], &m), 0);
	assert_int_equal(control_receive(pair[1], &got), -EPROTO);
	assert_int_equal(control_receive(pair[1], &got), -EPROTO);
	assert_int_equal(got.kind, 0);
	assert_int_equal(control_receive(pair[1], &got), 0);
	assert_int_equal(got.kind, CONTROL_READY);
	close(pair[0]);
	close(pair[1]);
}

static void a_child_of_somebody_else_is_not_adopted(void **state GA_UNUSED)
{
	char *argv[] = { (char[]){ "gatherd" }, (char[]){ "--role" }, (char[]){ "worker" },
			 (char[]){ "--parent" }, (char[]){ "1234567" } };
	struct role r;

	assert_int_equal(role_adopt(5, argv, &r), -EPIPE);
	assert_int_equal(role_adopt(3, argv, &r), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_supervisors_command_line_is_read),
		cmocka_unit_test(a_command_line_by_hand_is_refused),
		cmocka_unit_test(a_text_is_read_whole_without_moving_the_shared_offset),
		cmocka_unit_test(what_is_no_file_is_no_text),
		cmocka_unit_test(a_page_must_be_large_enough_and_marked),
		cmocka_unit_test(control_messages_arrive_whole_and_in_order),
		cmocka_unit_test(a_closed_channel_says_that_the_other_is_gone),
		cmocka_unit_test(a_packet_of_another_size_is_refused_and_skipped),
		cmocka_unit_test(a_child_of_somebody_else_is_not_adopted),
	};

	return TAP_RUN(tests);
}
