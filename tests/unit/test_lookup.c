/*
 * test_lookup.c — names looked up by tasks, and connections to hosts with several addresses.
 */
#include "tap_main.h"

#include "async_check.h"
#include "dns_rig.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <gather/stream.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SOON (ga_now() + GA_SECONDS(10))

static struct dns_rig rig;

/* Run `body` with a resolver that asks the rig. */
static int main_with_rig(const void *arg)
{
	const struct dns_options options = { .servers = rig.address, .timeout_ms = 3000 };
	int (*const *body)(void) = arg;
	int r;

	EXPECT(dns_rig_open(loop_current(), &rig) == 0);
	EXPECT(dns_share(&options) == 0);
	r = (*body)();
	dns_rig_close(&rig);
	return r;
}

static void run(int (*body)(void))
{
	assert_int_equal(ga_run(main_with_rig, &body), 0);
}

static int names_body(void)
{
	struct ga_address *a;

	EXPECT(ga_lookup("both.test", 443, SOON, &a) == 2);
	EXPECT(a[0].port == 443 && a[1].port == 443 && a[0].ipv6 != a[1].ipv6);
	EXPECT(strcmp(a[a[0].ipv6].text, "192.0.2.1") == 0);
	EXPECT(memcmp(a[a[0].ipv6].bytes, "\xc0\0\2\1", 4) == 0);
	EXPECT(strcmp(a[a[1].ipv6].text, "2001:db8::1") == 0);
	free(a);
	EXPECT(rig.questions == 1);
	EXPECT(ga_lookup("BOTH.test.", 80, SOON, &a) == 2); /* the same name, kept */
	EXPECT(a[0].port == 80);
	free(a);
	EXPECT(rig.questions == 1);
	EXPECT(ga_lookup("here.test", 1, SOON, &a) == 2);
	EXPECT(a[0].ipv6 && strcmp(a[0].text, "::1") == 0 && strcmp(a[1].text, "127.0.0.1") == 0);
	free(a);
	return 0;
}

static void a_name_has_addresses_of_both_families_and_is_asked_once(void **state GA_UNUSED)
{
	run(names_body);
}

static int numbers_body(void)
{
	struct ga_address *a;

	EXPECT(ga_lookup("192.0.2.7", 53, SOON, &a) == 1);
	EXPECT(!a->ipv6 && a->port == 53 && strcmp(a->text, "192.0.2.7") == 0);
	free(a);
	EXPECT(ga_lookup("2001:DB8:0:0::1", 0, ga_now() - 1, &a) == 1); /* nothing to wait for */
	EXPECT(a->ipv6 && strcmp(a->text, "2001:db8::1") == 0);
	free(a);
	EXPECT(ga_lookup("localhost", 0, SOON, &a) >= 1); /* by /etc/hosts */
	free(a);
	EXPECT(rig.questions == 0);
	return 0;
}

static void addresses_and_the_hosts_file_need_no_server(void **state GA_UNUSED)
{
	run(numbers_body);
}

static int errors_body(void)
{
	struct ga_address *a;
	ga_stream *s;

	EXPECT(ga_lookup("nx.test", 1, SOON, &a) == -EHOSTUNREACH);
	EXPECT(strstr(ga_lookup_error(), "no address for nx.test: ") &&
	       strstr(ga_lookup_error(), "not found"));
	EXPECT(ga_lookup("servfail.test", 1, SOON, &a) == -EHOSTUNREACH);
	EXPECT(strstr(ga_lookup_error(), "no address for servfail.test: "));
	EXPECT(ga_lookup("not a name", 1, SOON, &a) == -EINVAL);
	EXPECT(strcmp(ga_lookup_error(), "no address for not a name: not a host name") == 0);
	EXPECT(ga_lookup("b\xc3\xbc"
			 "cher.test",
			 1, SOON, &a) == -EINVAL); /* its A-label is meant */
	EXPECT(ga_lookup("fe80::1%lo", 1, SOON, &a) == -EINVAL);
	EXPECT(ga_lookup("", 1, SOON, &a) == -EINVAL);
	EXPECT(ga_connect_tcp("nx.test", 1, SOON, &s) == -EHOSTUNREACH);
	EXPECT(strstr(ga_lookup_error(), "nx.test"));
	return 0;
}

static void what_has_no_address_is_told_with_the_reason(void **state GA_UNUSED)
{
	run(errors_body);
}

static int look_up_silent(const void *arg GA_UNUSED)
{
	struct ga_address *a;

	return ga_lookup("silent.test", 1, GA_NEVER, &a);
}

static int silence_body(void)
{
	struct ga_address *a;
	ga_future *task;

	EXPECT(ga_lookup("silent.test", 1, ga_now() + GA_MILLISECONDS(20), &a) == -ETIMEDOUT);
	task = ga_spawn(look_up_silent, NULL);
	EXPECT(ga_sleep(GA_MILLISECONDS(10)) == 0);
	EXPECT(ga_cancel(task));
	EXPECT(ga_await(task) == -ECANCELED);
	ga_release(task);
	return 0;
}

static void a_lookup_ends_at_its_deadline_or_by_a_cancel(void **state GA_UNUSED)
{
	run(silence_body);
}

/* ---- connecting ---- */

static int open_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int count = 0;

	while (directory && readdir(directory))
		count++;
	closedir(directory);
	return count;
}

static int listen_on(const char *address, uint16_t port, int backlog)
{
	struct sockaddr_storage sa;
	struct address a;
	int one = 1, fd, r = address_parse(address, &a);
	socklen_t size = r < 0 ? 0 : address_to_sockaddr(&a, port, &sa);

	fd = socket(a.v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&sa, size) == 0 && listen(fd, backlog) == 0)
		return fd;
	close(fd);
	return -1;
}

static uint16_t port_of(int fd)
{
	struct sockaddr_storage sa;
	socklen_t size = sizeof(sa);
	struct address ignored;
	uint16_t port = 0;

	if (getsockname(fd, (struct sockaddr *)&sa, &size) < 0 ||
	    address_from_sockaddr((struct sockaddr *)&sa, &ignored, &port) < 0)
		return 0;
	return port;
}

static bool is_ipv6(ga_stream *s)
{
	struct sockaddr_storage sa;
	socklen_t size = sizeof(sa);

	return getpeername(ga_stream_fd(s), (struct sockaddr *)&sa, &size) == 0 &&
	       sa.ss_family == AF_INET6;
}

enum { QUEUE = 8 };

/* Fill a listener's queue: further ones get no answer. */
static void fill_queue(int listener, int queue[QUEUE])
{
	struct sockaddr_storage sa;
	socklen_t size = sizeof(sa);

	(void)!getsockname(listener, (struct sockaddr *)&sa, &size);
	for (int i = 0; i < QUEUE; i++) {
		queue[i] = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		(void)!connect(queue[i], (struct sockaddr *)&sa, size);
	}
}

static int beside_body(void)
{
	int v6 = listen_on("::1", 0, 0), v4 = listen_on("127.0.0.1", port_of(v6), 10), queue[QUEUE],
	    before;
	int64_t start;
	ga_stream *s;

	EXPECT(v6 >= 0 && v4 >= 0);
	/* Both answer: the preferred family is had, at once. */
	EXPECT(ga_connect_tcp("here.test", port_of(v4), SOON, &s) == 0);
	EXPECT(is_ipv6(s));
	ga_stream_close(s);
	fill_queue(v6, queue);
	before = open_descriptors();
	start = ga_now();
	EXPECT(ga_connect_tcp("here.test", port_of(v4), SOON, &s) == 0);
	EXPECT(!is_ipv6(s));
	EXPECT(ga_now() - start >= GA_MILLISECONDS(240) && ga_now() - start < GA_SECONDS(1));
	EXPECT(open_descriptors() == before + 1); /* the loser's is closed */
	ga_stream_close(s);
	/* Before the other one's turn has come. */
	EXPECT(ga_connect_tcp("here.test", port_of(v4), ga_now() + GA_MILLISECONDS(50), &s) ==
	       -ETIMEDOUT);
	EXPECT(open_descriptors() == before);
	for (int i = 0; i < QUEUE; i++)
		close(queue[i]);
	close(v4);
	close(v6);
	return 0;
}

static void an_address_that_does_not_answer_is_overtaken_after_a_quarter_second(void **state GA_UNUSED)
{
	run(beside_body);
}

static int next_body(void)
{
	int v4 = listen_on("127.0.0.1", 0, 10);
	uint16_t port = port_of(v4);
	int64_t start = ga_now();
	ga_stream *s;

	EXPECT(ga_connect_tcp("here.test", port, SOON, &s) == 0); /* ::1 refuses */
	EXPECT(!is_ipv6(s));
	ga_stream_close(s);
	EXPECT(ga_connect_tcp("many.test", port, SOON, &s) == 0); /* and so do two others */
	ga_stream_close(s);
	EXPECT(ga_now() - start < GA_MILLISECONDS(240));
	close(v4);
	EXPECT(ga_connect_tcp("many.test", port, SOON, &s) == -ECONNREFUSED);
	return 0;
}

static void an_address_that_refuses_is_followed_by_the_next_at_once(void **state GA_UNUSED)
{
	run(next_body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_has_addresses_of_both_families_and_is_asked_once),
		cmocka_unit_test(addresses_and_the_hosts_file_need_no_server),
		cmocka_unit_test(what_has_no_address_is_told_with_the_reason),
		cmocka_unit_test(a_lookup_ends_at_its_deadline_or_by_a_cancel),
		cmocka_unit_test(an_address_that_does_not_answer_is_overtaken_after_a_quarter_second),
		cmocka_unit_test(an_address_that_refuses_is_followed_by_the_next_at_once),
	};

	return TAP_RUN(tests);
}
