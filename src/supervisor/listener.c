#include "listener.h"
#include "clock.h"
#include "log.h"
#include "place.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

/* How long the broker of a supervisor that was killed may take to vanish: the kernel is about to end it. */
#define TAKE_OVER (2 * NSEC_PER_SEC)

static int inherited(unsigned count, struct listeners *l);
static int bind_patiently(const char *path, mode_t mode, int *ret_fd);
static int directory_of(const char *path);
static int stale_remove(const struct sockaddr_un *address);

int listeners_open(const char *path, mode_t mode, struct listeners *ret_listeners)
{
	int given = sd_listen_fds(1), r;
	struct listeners l = { 0 };

	if (given < 0)
		given = 0;
	l.fds = calloc((size_t)given + 1, sizeof(*l.fds));
	if (!l.fds)
		return -ENOMEM;
	if (given > 0) {
		r = inherited((unsigned)given, &l);
	} else {
		l.own = true;
		r = bind_patiently(path, mode, &l.fds[0]);
		l.count = r >= 0;
	}
	if (r < 0) {
		free(l.fds);
		return r;
	}
	*ret_listeners = l;
	return 0;
}

void listeners_done(struct listeners *l, const char *path)
{
	for (unsigned i = 0; i < l->count; i++)
		close(l->fds[i]);
	if (l->own && l->count > 0)
		unlink(path);
	free(l->fds);
	*l = (struct listeners){ 0 };
}

int listener_bind(const char *path, mode_t mode, int *ret_fd)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	mode_t mask;
	int fd, r;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path) + 1);
	r = directory_of(path);
	if (r >= 0)
		r = stale_remove(&address);
	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* Nobody else may connect before the mode is what was configured. */
	mask = umask(0177);
	r = bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
	umask(mask);
	if (r == 0 && (chmod(path, mode) < 0 || listen(fd, SOMAXCONN) < 0)) {
		r = -errno;
		unlink(path);
	}
	if (r < 0) {
		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

static int inherited(unsigned count, struct listeners *l)
{
	for (unsigned i = 0; i < count; i++) {
		int fd = SD_LISTEN_FDS_START + (int)i;

		if (sd_is_socket(fd, AF_UNIX, SOCK_STREAM, 1) <= 0) {
			log_error("the socket that systemd passed as descriptor %d is not a listening Unix "
				  "stream socket: gatherd serves no other",
				  fd);
			return -EINVAL;
		}
		if (fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK) < 0)
			return -errno;
		l->fds[l->count++] = fd;
	}
	return 0;
}

static int bind_patiently(const char *path, mode_t mode, int *ret_fd)
{
	int64_t until = clock_monotonic() + TAKE_OVER;
	int r;

	while ((r = listener_bind(path, mode, ret_fd)) == -EADDRINUSE && clock_monotonic() < until)
		(void)poll(NULL, 0, 20);
	if (r == -EADDRINUSE)
		log_error("socket = %s: another program accepts connections there", path);
	else if (r == -EEXIST)
		log_error("socket = %s: there is a file that is not a socket", path);
	else if (r < 0)
		log_error("socket = %s: %s", path, strerror(-r));
	return r;
}

static int directory_of(const char *path)
{
	char directory[sizeof(((struct sockaddr_un *)0)->sun_path)];
	const char *slash = strrchr(path, '/');
	int r;

	if (!slash || slash == path)
		return 0;
	snprintf(directory, sizeof(directory), "%.*s", (int)(slash - path), path);
	r = place_make(directory, 0750);
	return MIN(r, 0);
}

static int stale_remove(const struct sockaddr_un *address)
{
	struct stat st;
	int fd, r;

	if (lstat(address->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	r = connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;
	close(fd);
	if (r == -ECONNREFUSED)
		return unlink(address->sun_path) < 0 && errno != ENOENT ? -errno : 0;
	if (r == -ENOENT)
		return 0;
	return r == 0 || r == -EAGAIN ? -EADDRINUSE : r; /* EAGAIN: its backlog is full */
}
