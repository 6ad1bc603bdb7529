#define _GNU_SOURCE
#include "drain-journal.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/*
 * A Varlink call, as `journalctl --sync` makes it, ends with a null byte. journald answers it after everything that lies
 * in its other sockets.
 */
static const char call[] = "{\"method\":\"io.systemd.Journal.Synchronize\",\"parameters\":{}}";

void drain_journal(int seconds)
{
	const struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "/run/systemd/journal/io.systemd.journal" };
	struct pollfd journald = { .fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), .events = POLLIN };

	if (journald.fd < 0)
		return;
	if (connect(journald.fd, (const struct sockaddr *)&address, sizeof address) == 0 &&
	    send(journald.fd, call, sizeof call, MSG_NOSIGNAL) == (ssize_t)sizeof call)
		poll(&journald, 1, seconds * 1000);
	close(journald.fd);
}
