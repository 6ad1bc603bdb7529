#define _GNU_SOURCE
#include "find-app.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool is_app_name(const char *name)
{
	size_t length = strlen(name);

	return length > 0 && length < 256 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

/* In clock ticks since boot; 0 for a process that is no child of systemd. */
static unsigned long long start_of_child(pid_t pid)
{
	char path[64], text[1024];
	unsigned long long start = 0;
	int parent = 0;

	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	FILE *file = fopen(path, "re");
	size_t size = file ? fread(text, 1, sizeof text - 1, file) : 0;
	if (file)
		fclose(file);
	text[size] = '\0';
	/* The name before may hold anything; proc(5) has the parent as field 4 and the start as field 22. */
	char *rest = strrchr(text, ')');
	static const char format[] = ") %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu";
	return rest && sscanf(rest, format, &parent, &start) == 2 && parent == 1 ? start : 0;
}

static bool read_link(pid_t pid, const char *name, char *text, size_t size)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
	ssize_t length = readlink(path, text, size - 1);
	text[length > 0 ? length : 0] = '\0';
	return length > 0;
}

/* While `launch` works it is neither in the pod's namespace nor in the app. */
static bool has_left_pod(pid_t pid)
{
	char own[64], other[64], program[256];

	return read_link(1, "ns/mnt", own, sizeof own) && read_link(pid, "ns/mnt", other, sizeof other) &&
	       strcmp(own, other) && read_link(pid, "exe", program, sizeof program) && strcmp(program, "/rkt/launch");
}

pid_t find_app_process(const char *app)
{
	char path[512];
	unsigned long long oldest = 0;
	pid_t found = 0, pid;

	snprintf(path, sizeof path, APP_CGROUPS "/%s.service/cgroup.procs", app);
	FILE *list = fopen(path, "re");
	while (list && fscanf(list, "%d", &pid) == 1) {
		unsigned long long start = start_of_child(pid);
		if (start == 0 || (found && start >= oldest) || !has_left_pod(pid))
			continue;
		found = pid;
		oldest = start;
	}
	if (list)
		fclose(list);
	return found;
}

const char *bounding_set(void)
{
	static char set[32] = "0";
	char line[256];
	FILE *status = fopen("/proc/1/status", "re");

	while (status && fgets(line, sizeof line, status))
		if (sscanf(line, "CapBnd: %31[0-9a-f]", set) == 1)
			break;
	if (status)
		fclose(status);
	return set;
}
