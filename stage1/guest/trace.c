#define _GNU_SOURCE
#include "trace.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

void trace(int64_t ago, const char *phase, ...)
{
	struct timespec now;
	char *text;
	va_list arguments;

	if (!getenv(TRACE_VARIABLE))
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	va_start(arguments, phase);
	int length = vasprintf(&text, phase, arguments);
	va_end(arguments);
	int fd = length < 0 ? -1 : open(TRACE_FILE, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd >= 0) {
		/* In one write: several programs may have something to say at the same time. */
		dprintf(fd, "%s %lld\n", text, (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000 - (long long)ago);
		close(fd);
	}
	if (length >= 0)
		free(text);
}
