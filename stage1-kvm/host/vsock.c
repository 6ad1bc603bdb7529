#define _GNU_SOURCE
#include "vsock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

/* An agent that was started again comes while the last one may still be there. */
#define BACKLOG 8

static bool make_key(char key[VSOCK_KEY + 1])
{
	unsigned char bytes[VSOCK_KEY / 2];

	if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
		return false;
	for (size_t i = 0; i < sizeof bytes; i++)
		snprintf(key + 2 * i, 3, "%02x", bytes[i]);
	return true;
}

/* For root in the guest: the agent. */
static bool write_file(const char *file, unsigned int port, const char *key)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return false;
	bool written = dprintf(fd, "%u %s\n", port, key) > 0;
	return close(fd) == 0 && written;
}

bool vsock_open(struct vsock *vsock, unsigned int cid, const char *file)
{
	struct sockaddr_vm address = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = VMADDR_PORT_ANY };
	socklen_t size = sizeof address;

	vsock->cid = cid;
	vsock->listener = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return vsock->listener >= 0 && bind(vsock->listener, (struct sockaddr *)&address, sizeof address) == 0 &&
	       listen(vsock->listener, BACKLOG) == 0 &&
	       getsockname(vsock->listener, (struct sockaddr *)&address, &size) == 0 && make_key(vsock->key) &&
	       write_file(file, address.svm_port, vsock->key);
}

void vsock_poll(const struct vsock *vsock, struct pollfd *fds)
{
	fds[0] = (struct pollfd){ .fd = vsock->listener, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = vsock->caller, .events = POLLIN };
}

static void hang_up(struct vsock *vsock)
{
	if (vsock->caller >= 0)
		close(vsock->caller);
	vsock->caller = -1;
	vsock->shown_size = 0;
}

/* A new caller takes the place of one that has not shown the key: nobody can keep the agent out by being silent. */
static void take_caller(struct vsock *vsock)
{
	struct sockaddr_vm address = { .svm_cid = VMADDR_CID_ANY };
	socklen_t size = sizeof address;
	int fd = accept4(vsock->listener, (struct sockaddr *)&address, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	if (address.svm_cid != vsock->cid) {
		close(fd);
		return;
	}
	hang_up(vsock);
	vsock->caller = fd;
}

/* Not a byte more is read than the key has: what follows is for the channel. */
static bool read_key(struct vsock *vsock)
{
	ssize_t n = read(vsock->caller, vsock->shown + vsock->shown_size, VSOCK_KEY - vsock->shown_size);

	if (n > 0)
		vsock->shown_size += (size_t)n;
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		hang_up(vsock);
	return vsock->shown_size == VSOCK_KEY;
}

int vsock_serve(struct vsock *vsock, const struct pollfd *fds)
{
	int agent = -1;

	if (fds[1].revents && read_key(vsock)) {
		if (!memcmp(vsock->shown, vsock->key, VSOCK_KEY)) {
			agent = vsock->caller;
			vsock->caller = -1;
		}
		hang_up(vsock);
	}
	if (fds[0].revents)
		take_caller(vsock);
	return agent;
}
