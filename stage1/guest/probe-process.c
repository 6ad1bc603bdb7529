/* What a process of an app is and has: its capabilities, descriptors and namespaces. */
#define _GNU_SOURCE
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* AUDIT_WRITE CHOWN DAC_OVERRIDE FSETID FOWNER KILL MKNOD NET_RAW NET_BIND_SERVICE SETUID SETGID SETPCAP SETFCAP SYS_CHROOT */
#define DEFAULT_CAPABILITIES UINT64_C(0xa80425fb)
#define DESCRIPTORS 65536

static void read_status(const char *field, char *value, size_t size)
{
	char line[256];
	size_t length = strlen(field);
	FILE *file = fopen("/proc/self/status", "re");

	value[0] = '\0';
	while (file && fgets(line, sizeof line, file)) {
		if (strncmp(line, field, length) || line[length] != ':')
			continue;
		line[strcspn(line, "\n")] = '\0';
		snprintf(value, size, "%s", line + length + 1 + strspn(line + length + 1, "\t "));
	}
	if (file)
		fclose(file);
}

static void check_capabilities(const char *check, const char *field, uint64_t allowed)
{
	char text[64];

	read_status(field, text, sizeof text);
	report(check, *text && !(strtoull(text, NULL, 16) & ~allowed), "%s", *text ? text : "unknown");
}

static void check_descriptors(void)
{
	const char *passed = getenv("LISTEN_FDS");
	int first = 3 + (passed ? atoi(passed) : 0), count = 0;

	for (int fd = first; fd < DESCRIPTORS; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	report("descriptors", count == 0, "%d beyond the standard ones", count);
}

static void check_groups(void)
{
	gid_t groups[256];
	int count = getgroups(256, groups);
	bool root = false;

	for (int i = 0; i < count; i++)
		root = root || groups[i] == 0;
	report("groups", count >= 0 && !root, "%d supplementary", count);
}

static void check_working_directory(void)
{
	char path[4096];
	/* The kernel's own words, where the library would hide what is outside of the root. */
	ssize_t length = readlink("/proc/self/cwd", path, sizeof path - 1);

	path[length > 0 ? length : 0] = '\0';
	report("working-directory", *path == '/', "%s", path);
}

/* Each initial namespace has the same number in every kernel, include/linux/proc_ns.h. */
static void check_namespace(const char *check, const char *name, unsigned long initial)
{
	char path[64];
	struct stat st = { .st_ino = initial };

	snprintf(path, sizeof path, "/proc/self/ns/%s", name);
	bool host = stat(path, &st) < 0 || st.st_ino == initial;
	report(check, own_kernel || !host, "%s", own_kernel ? "own kernel" : host ? "of the host" : "own");
}

static void check_new_privileges(void)
{
	char text[16];

	read_status("NoNewPrivs", text, sizeof text);
	report("new-privileges", geteuid() == 0 || !strcmp(text, "1"), "%s",
	       strcmp(text, "1") ? geteuid() == 0 ? "root" : "possible" : "none");
}

void probe_process(void)
{
	char seccomp[16];

	check_capabilities("capabilities", "CapBnd", DEFAULT_CAPABILITIES);
	check_capabilities("capabilities-effective", "CapEff", DEFAULT_CAPABILITIES);
	check_capabilities("capabilities-inheritable", "CapInh", 0);
	check_capabilities("capabilities-ambient", "CapAmb", 0);
	read_status("Seccomp", seccomp, sizeof seccomp);
	report("seccomp", !strcmp(seccomp, "2"), "mode %s", seccomp);
	check_new_privileges();
	check_groups();
	check_descriptors();
	check_working_directory();
	check_namespace("namespace-cgroup", "cgroup", 0xeffffffb);
	check_namespace("namespace-ipc", "ipc", 0xefffffff);
	check_namespace("namespace-pid", "pid", 0xeffffffc);
	check_namespace("namespace-user", "user", 0xeffffffd);
	check_namespace("namespace-uts", "uts", 0xeffffffe);
}
