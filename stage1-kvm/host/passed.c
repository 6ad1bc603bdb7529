#define _GNU_SOURCE
#include "passed.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

void passed_add(struct passed *passed, int fd)
{
	if (fd >= 0 && passed->count < MOST_PASSED)
		passed->fds[passed->count++] = fd;
}

/* As QEMU opens it, with the header that lets the guest leave checksums to the host. */
static int open_tap(const char *name)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &request) == 0)
		return fd;
	int reason = errno;
	close(fd);
	errno = reason;
	return -1;
}

static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
		return fd;
	int reason = errno;
	close(fd);
	errno = reason;
	return -1;
}

bool passed_open(struct passed *passed, const char *what, const char *share)
{
	int fd = -1;

	errno = E2BIG;
	if (passed->count == MOST_PASSED)
		return false;
	errno = EINVAL;
	if (!strncmp(what, "read:", 5))
		fd = open(what + 5, O_RDONLY | O_CLOEXEC);
	else if (!strncmp(what, "write:", 6))
		fd = open(what + 6, O_RDWR | O_CLOEXEC);
	else if (!strncmp(what, "tap:", 4))
		fd = open_tap(what + 4);
	else if (!strcmp(what, "share"))
		fd = connect_to(share);
	passed_add(passed, fd);
	return fd >= 0;
}

bool passed_take(const struct passed *passed)
{
	int high[MOST_PASSED];

	/* Out of the way of one another. */
	for (int i = 0; i < passed->count; i++)
		if ((high[i] = fcntl(passed->fds[i], F_DUPFD_CLOEXEC, FIRST_PASSED + MOST_PASSED)) < 0)
			return false;
	for (int i = 0; i < passed->count; i++)
		if (dup2(high[i], FIRST_PASSED + i) < 0)
			return false;
	syscall(SYS_close_range, FIRST_PASSED + passed->count, ~0u, 0);
	return true;
}

void passed_close(struct passed *passed)
{
	for (int i = 0; i < passed->count; i++)
		close(passed->fds[i]);
	passed->count = 0;
}
