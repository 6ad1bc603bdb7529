#define _GNU_SOURCE
#include "attach.h"

#include "machine-root.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What the client finds its connection as. */
#define CONNECTION_FD 3

/* It outlives a monitor that is killed for as long as it takes to restore the terminal. */
static void become_client(const char *client, int connection)
{
	char *argv[] = { "attach", "--attach", NULL };

	if (!leave_machine_root())
		_exit(1);
	if (connection == CONNECTION_FD ? fcntl(connection, F_SETFD, 0) < 0 : dup2(connection, CONNECTION_FD) < 0)
		_exit(1);
	syscall(SYS_close_range, CONNECTION_FD + 1, ~0u, 0);
	execv(client, argv);
	_exit(1);
}

pid_t attach_start(const char *client, int output, int nothing, int *connection)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0)
		become_client(client, ends[1]);
	close(ends[1]);
	if (pid < 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0 || dup2(nothing, 0) < 0 || dup2(output, 1) < 0)
		return -1;
	*connection = ends[0];
	return pid;
}
