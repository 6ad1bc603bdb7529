#define _GNU_SOURCE
#include "messages.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int messages_open(struct messages *messages)
{
	int ends[2];

	messages->size = 0;
	messages->fd = -1;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	messages->fd = ends[0];
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	return ends[1];
}

static void keep(struct messages *messages, const char *data, size_t size)
{
	const size_t most = sizeof messages->text - 1;
	size_t kept = messages->size + size > most ? most - size : messages->size;

	memmove(messages->text, messages->text + messages->size - kept, kept);
	memcpy(messages->text + kept, data, size);
	messages->size = kept + size;
}

void messages_read(struct messages *messages)
{
	char data[sizeof messages->text / 2];
	ssize_t n;

	while (messages->fd >= 0 && (n = read(messages->fd, data, sizeof data)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return;
		keep(messages, data, (size_t)n);
	}
	if (messages->fd >= 0)
		close(messages->fd);
	messages->fd = -1;
}

const char *messages_last(struct messages *messages)
{
	while (messages->size > 0 && messages->text[messages->size - 1] == '\n')
		messages->size--;
	messages->text[messages->size] = '\0';
	for (char *c = messages->text; *c; c++)
		if (*c != '\n' && ((unsigned char)*c < ' ' || (unsigned char)*c >= 127))
			*c = '?';
	char *newline = strrchr(messages->text, '\n');
	return newline ? newline + 1 : messages->text;
}
