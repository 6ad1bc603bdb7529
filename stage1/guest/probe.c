#define _GNU_SOURCE
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

bool own_kernel;
static bool as_json;
static unsigned int checks, open_checks;

static void print_json_string(const char *text)
{
	putchar('"');
	for (const char *c = text; *c; c++) {
		if (*c == '"' || *c == '\\')
			putchar('\\');
		putchar(*c);
	}
	putchar('"');
}

void report(const char *check, bool closed, const char *format, ...)
{
	char seen[512];
	va_list args;

	va_start(args, format);
	vsnprintf(seen, sizeof seen, format, args);
	va_end(args);
	/* Names in an app are not ours; they must not steer a terminal. */
	for (char *c = seen; *c; c++)
		if ((unsigned char)*c < ' ' || (unsigned char)*c >= 127)
			*c = '?';
	open_checks += !closed;
	if (as_json) {
		printf("%s{\"check\":", checks++ ? "," : "[");
		print_json_string(check);
		printf(",\"closed\":%s,\"seen\":", closed ? "true" : "false");
		print_json_string(seen);
		putchar('}');
	} else {
		printf("%-32s %-6s %s\n", check, closed ? "closed" : "open", seen);
	}
}

static bool is_refusal(int error)
{
	const int refusals[] = { EPERM, EACCES, EROFS, ENOSYS, EAFNOSUPPORT, ENOENT, ENOTDIR, ESRCH };

	for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
		if (error == refusals[i])
			return true;
	return false;
}

void report_attempt(const char *check, long result)
{
	const char *name = result < 0 ? strerrorname_np(errno) : NULL;

	report(check, result < 0 && is_refusal(errno), "%s", result < 0 ? name ? name : "unknown error" : "allowed");
}

long in_child(long (*attempt)(void))
{
	int status;

	fflush(stdout);
	pid_t child = fork();
	if (child < 0)
		return 0;
	if (child == 0)
		_exit(attempt() < 0 ? errno : 0);
	if (waitpid(child, &status, 0) < 0)
		return 0;
	if (!WIFEXITED(status)) {
		errno = EPERM;
		return -1;
	}
	errno = WEXITSTATUS(status);
	return errno ? -1 : 0;
}

long try_open(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd >= 0)
		close(fd);
	return fd;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--format=json"))
			as_json = true;
		else if (!strcmp(argv[i], "--own-kernel"))
			own_kernel = true;
		else if (strcmp(argv[i], "--format=text"))
			return dprintf(2, "usage: probe [--format=text|json] [--own-kernel]\n"), 2;
	}
	probe_process();
	probe_calls();
	probe_files();
	if (as_json)
		puts("]");
	return open_checks > 0;
}
