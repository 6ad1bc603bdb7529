#define _GNU_SOURCE
#include "qmp.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Events come only after it. */
static const char greeting[] = "{\"execute\": \"qmp_capabilities\"}\n";
/* As QEMU writes it: the event of this name comes before its details. */
static const char stopped[] = "\"event\": \"STOP\"";

void qmp_init(struct qmp *qmp, int fd)
{
	qmp->fd = fd;
	qmp->size = 0;
	if (fd < 0)
		return;
	fcntl(fd, F_SETFL, O_NONBLOCK);
	send(fd, greeting, sizeof greeting - 1, MSG_NOSIGNAL);
}

/* Takes the whole lines away; of a line that is too long the beginning is forgotten. */
static bool search_lines(struct qmp *qmp)
{
	bool found = false;
	char *newline;

	qmp->line[qmp->size] = '\0';
	while ((newline = memchr(qmp->line, '\n', qmp->size))) {
		size_t length = (size_t)(newline + 1 - qmp->line);
		*newline = '\0';
		found = found || strstr(qmp->line, stopped);
		qmp->size -= length;
		memmove(qmp->line, qmp->line + length, qmp->size + 1);
	}
	if (qmp->size == sizeof qmp->line - 1)
		qmp->size = 0;
	return found;
}

bool qmp_says_stopped(struct qmp *qmp)
{
	bool found = false;

	while (qmp->fd >= 0) {
		ssize_t n = read(qmp->fd, qmp->line + qmp->size, sizeof qmp->line - 1 - qmp->size);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n <= 0) {
			close(qmp->fd);
			qmp->fd = -1;
			break;
		}
		qmp->size += (size_t)n;
		found = search_lines(qmp) || found;
	}
	return found;
}
