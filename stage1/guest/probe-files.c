/* What an app sees and can change in its file system: /proc, /sys, /dev and the way out of its root. */
#define _GNU_SOURCE
#include "probe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* What today's OCI runtimes hide, and the parts of /sys that say much about a host. */
static const char *const hidden[] = {
	"/proc/acpi", "/proc/asound", "/proc/config.gz", "/proc/interrupts", "/proc/kallsyms", "/proc/kcore", "/proc/keys",
	"/proc/latency_stats", "/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats",
	"/sys/devices/system/cpu/cpu0/thermal_throttle", "/sys/devices/virtual/powercap", "/sys/firmware", "/sys/fs/cgroup",
	"/sys/kernel/debug", "/sys/kernel/security", "/sys/kernel/tracing", "/sys/module",
};

static const char *const readonly[] = {
	"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger", "/sys", "/sys/kernel",
};

static const char *const devices[] = {
	"console", "core", "fd", "full", "log", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty",
	"urandom", "zero",
};

/* 0 nothing is there to be read, 1 something is, -1 it does not exist or may not be opened. */
static int content(const char *path)
{
	struct dirent *entry;
	char byte;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), found = 0;

	if (fd < 0)
		return -1;
	DIR *directory = fdopendir(fd);
	if (!directory) {
		found = read(fd, &byte, 1) > 0;
		close(fd);
		return found;
	}
	while ((entry = readdir(directory)))
		found = found || (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."));
	closedir(directory);
	return found;
}

static void check_hidden(const char *path)
{
	char check[128];
	int found = content(path);

	snprintf(check, sizeof check, "hidden %s", path);
	report(check, found <= 0, "%s", found > 0 ? "readable" : found == 0 ? "empty" : "absent");
}

static void check_readonly(const char *path)
{
	char check[128];
	struct statvfs fs;
	bool there = statvfs(path, &fs) == 0, closed = !there || fs.f_flag & ST_RDONLY;

	snprintf(check, sizeof check, "read-only %s", path);
	report(check, closed, "%s", !there ? "absent" : closed ? "read-only" : "writable");
}

static bool is_known_device(const char *name)
{
	for (size_t i = 0; i < sizeof devices / sizeof *devices; i++)
		if (!strcmp(name, devices[i]))
			return true;
	return false;
}

static void check_devices(void)
{
	char extra[256] = "the standard ones";
	DIR *directory = opendir("/dev");
	struct dirent *entry;
	struct stat st;
	bool closed = directory != NULL;

	while (closed && (entry = readdir(directory))) {
		if (*entry->d_name == '.' || is_known_device(entry->d_name))
			continue;
		closed = false;
		snprintf(extra, sizeof extra, "%s", entry->d_name);
	}
	if (directory)
		closedir(directory);
	report("devices", closed, "%s", extra);
	bool null = lstat("/dev/null", &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
	report("device-null", null, "%s", null ? "1:3" : "something else");
}

static long try_node(mode_t type, unsigned int device_major, unsigned int device_minor)
{
	const char *path = "/.rkt-probe-node";

	if (mknod(path, type | 0600, makedev(device_major, device_minor)) < 0)
		return -1;
	long result = try_open(path, O_RDONLY);
	int error = errno;
	unlink(path);
	errno = error;
	return result;
}

static void check_nodes(void)
{
	report_attempt("device-node memory", try_node(S_IFCHR, 1, 1));
	report_attempt("device-node kmsg", try_node(S_IFCHR, 1, 11));
	report_attempt("device-node tun", try_node(S_IFCHR, 10, 200));
	report_attempt("device-node fuse", try_node(S_IFCHR, 10, 229));
	report_attempt("device-node kvm", try_node(S_IFCHR, 10, 232));
	report_attempt("device-node sda", try_node(S_IFBLK, 8, 0));
	report_attempt("device-node vda", try_node(S_IFBLK, 254, 0));
	report_attempt("device-node loop", try_node(S_IFBLK, 7, 0));
}

static bool same_root(const struct stat *before)
{
	struct stat st;

	return stat("/", &st) == 0 && st.st_dev == before->st_dev && st.st_ino == before->st_ino;
}

/* The old way out of a chroot: stay in a directory above the new root. Only a root of a mount namespace stops it. */
static long leave_chroot(void)
{
	const char *place = "/.rkt-probe-root";
	struct stat before;
	int top = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (top < 0 || fstat(top, &before) < 0 || mkdir(place, 0700) < 0)
		return -1;
	bool entered = chroot(place) == 0;
	int error = errno;
	unlinkat(top, place + 1, AT_REMOVEDIR);
	errno = error;
	if (!entered || fchdir(top) < 0)
		return -1;
	for (int i = 0; i < 64; i++)
		if (chdir("..") < 0)
			return -1;
	if (chroot(".") < 0)
		return -1;
	errno = EPERM;
	return same_root(&before) ? -1 : 0;
}

static void check_abstract_sockets(void)
{
	char line[512], found[128] = "";
	FILE *file = fopen("/proc/net/unix", "re");

	while (file && fgets(line, sizeof line, file)) {
		const char *name = strchr(line, '@');
		if (!name || *found)
			continue;
		snprintf(found, sizeof found, "%.*s", (int)strcspn(name, "\n"), name);
	}
	if (file)
		fclose(file);
	report("abstract-sockets", !*found, "%s", *found ? found : "none");
}

void probe_files(void)
{
	for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
		check_hidden(hidden[i]);
	for (size_t i = 0; i < sizeof readonly / sizeof *readonly; i++)
		check_readonly(readonly[i]);
	check_devices();
	check_nodes();
	report_attempt("chroot-escape", in_child(leave_chroot));
	report_attempt("stage1-root", try_open("/proc/1/root/rkt", O_RDONLY));
	report_attempt("stage1-environment", try_open("/proc/1/environ", O_RDONLY));
	report_attempt("stage1-memory", try_open("/proc/1/mem", O_RDONLY));
	report_attempt("stage1-executable", try_open("/proc/1/exe", O_WRONLY));
	report_attempt("core-pattern", try_open("/proc/sys/kernel/core_pattern", O_WRONLY));
	check_abstract_sockets();
}
