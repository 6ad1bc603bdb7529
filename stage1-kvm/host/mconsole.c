#define _GNU_SOURCE
#include "mconsole.h"

#include "machine-root.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

/*
 * The pages that were freed last are taken first, and small pieces before large ones that nobody has ever used. No more
 * than the guest has for itself beside its apps: one of them may need memory at the same moment.
 */
#define SIZE "24M"

/* A guest on a busy machine may take a while. */
#define ANSWER_MS (10 * 1000)

struct request {
	uint32_t magic;
	int32_t version;
	int32_t length;
	char text[512];
};

/* No link is followed: the hypervisor could have put one there that leads to a socket of the host's. */
static int open_socket(pid_t hypervisor, const char *socket)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS };
	struct stat st;
	char path[32];

	snprintf(path, sizeof path, "/proc/%d/root", hypervisor);
	int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd = root < 0 ? -1 : (int)syscall(SYS_openat2, root, socket, &how, sizeof how);
	return fd >= 0 && fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode) ? fd : -1;
}

/* It is sent to the name that the kernel gives us. */
static int open_own(void)
{
	struct sockaddr_un any = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd >= 0 && bind(fd, (struct sockaddr *)&any, sizeof any.sun_family) == 0 ? fd : -1;
}

static void say(int from, const struct sockaddr_un *to, const char *text)
{
	struct request request = { .magic = 0xcafebabe, .version = 2, .length = (int32_t)strlen(text) };

	memcpy(request.text, text, strlen(text));
	sendto(from, &request, sizeof request, MSG_DONTWAIT, (const struct sockaddr *)to, sizeof *to);
}

/* Of several requests that wait, the last one is done first. */
static void await_answer(int own, pid_t hypervisor)
{
	struct pollfd fds[] = {
		{ .fd = own, .events = POLLIN },
		{ .fd = (int)syscall(SYS_pidfd_open, hypervisor, 0), .events = POLLIN },
	};

	poll(fds, sizeof fds / sizeof *fds, ANSWER_MS);
}

void mconsole_give_back(pid_t hypervisor, const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (fork() != 0)
		return;
	int found = leave_machine_root() ? open_socket(hypervisor, name) : -1;
	int own = open_own();
	if (found < 0 || own < 0)
		_exit(1);
	snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d", found);
	say(own, &address, "config mem=-" SIZE);
	await_answer(own, hypervisor);
	say(own, &address, "config mem=+" SIZE);
	_exit(0);
}
