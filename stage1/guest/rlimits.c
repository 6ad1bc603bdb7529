/* What a process of an app may use, setrlimit(2). */
#define _GNU_SOURCE
#include "spec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static const struct { const char *name; int resource; } names[] = {
	{ "AS", RLIMIT_AS }, { "CORE", RLIMIT_CORE }, { "CPU", RLIMIT_CPU }, { "DATA", RLIMIT_DATA },
	{ "FSIZE", RLIMIT_FSIZE }, { "LOCKS", RLIMIT_LOCKS }, { "MEMLOCK", RLIMIT_MEMLOCK }, { "MSGQUEUE", RLIMIT_MSGQUEUE },
	{ "NICE", RLIMIT_NICE }, { "NOFILE", RLIMIT_NOFILE }, { "NPROC", RLIMIT_NPROC }, { "RSS", RLIMIT_RSS },
	{ "RTPRIO", RLIMIT_RTPRIO }, { "RTTIME", RLIMIT_RTTIME }, { "SIGPENDING", RLIMIT_SIGPENDING },
	{ "STACK", RLIMIT_STACK },
};

static int resource_of(const char *name)
{
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (!strcmp(name, names[i].name))
			return names[i].resource;
	errno = 0;
	die(EXIT_LIMITS, "specification: unknown limit %s", name);
}

static rlim_t value_of(const char *text)
{
	return !strcmp(text, "unlimited") ? RLIM_INFINITY : (rlim_t)strtoull(text, NULL, 10);
}

void set_rlimits(const struct spec *spec)
{
	for (size_t i = 0; i < spec->rlimits.count; i++) {
		char *copy = strdup(spec->rlimits.items[i]), *rest = copy;
		const char *name = strsep(&rest, ":"), *soft = strsep(&rest, ":"), *hard = rest;
		if (!copy || !soft || !hard) {
			errno = 0;
			die(EXIT_LIMITS, "specification: malformed limit %s", spec->rlimits.items[i]);
		}
		const struct rlimit limit = { value_of(soft), value_of(hard) };
		if (setrlimit(resource_of(name), &limit) < 0)
			die(EXIT_LIMITS, "cannot set RLIMIT_%s to %s:%s", name, soft, hard);
		free(copy);
	}
}
