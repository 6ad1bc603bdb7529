/*
 * An own /dev for an app, where the pod has a kernel of its own. stage1/apps/app-devices.ts makes the same on the host
 * where the pod shares the host's kernel.
 */
#define _GNU_SOURCE
#include "spec.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Group tty of the pod. */
#define TTY_GROUP "5"

/* Numbers of Documentation/admin-guide/devices.txt in the kernel's sources. */
static const struct { const char *name; unsigned int major, minor; } nodes[] = {
	{ "null", 1, 3 }, { "zero", 1, 5 }, { "full", 1, 7 }, { "random", 1, 8 }, { "urandom", 1, 9 }, { "tty", 5, 0 },
};

static const struct { const char *name, *target; } links[] = {
	{ "fd", "/proc/self/fd" }, { "stdin", "/proc/self/fd/0" }, { "stdout", "/proc/self/fd/1" },
	{ "stderr", "/proc/self/fd/2" }, { "core", "/proc/kcore" }, { "ptmx", "pts/ptmx" },
	{ "log", "/run/systemd/journal/dev-log" },
};

static int make_file_system(const char *type, const char *options[][2], size_t count)
{
	int fs = (int)syscall(SYS_fsopen, type, FSOPEN_CLOEXEC);

	for (size_t i = 0; fs >= 0 && i < count; i++)
		if (syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, options[i][0], options[i][1], 0) < 0)
			die(EXIT_NAMESPACE, "cannot set %s of %s", options[i][0], type);
	if (fs < 0 || syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		die(EXIT_NAMESPACE, "cannot make a file system %s", type);
	int top = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
	if (top < 0)
		die(EXIT_NAMESPACE, "cannot mount a file system %s", type);
	close(fs);
	return top;
}

static void attach_below(int directory, const char *name, int tree)
{
	if (syscall(SYS_move_mount, tree, "", directory, name, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		die(EXIT_NAMESPACE, "cannot mount /dev/%s", name);
	close(tree);
}

static void fill(int dev)
{
	const mode_t mask = umask(0);
	int console;

	for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++)
		if (mknodat(dev, nodes[i].name, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)) < 0)
			die(EXIT_NAMESPACE, "cannot make /dev/%s", nodes[i].name);
	for (size_t i = 0; i < sizeof links / sizeof *links; i++)
		if (symlinkat(links[i].target, dev, links[i].name) < 0)
			die(EXIT_NAMESPACE, "cannot make /dev/%s", links[i].name);
	if (mkdirat(dev, "pts", 0755) < 0 || mkdirat(dev, "shm", 0755) < 0)
		die(EXIT_NAMESPACE, "cannot make the directories of /dev");
	console = openat(dev, "console", O_WRONLY | O_CREAT | O_CLOEXEC, 0620);
	if (console < 0)
		die(EXIT_NAMESPACE, "cannot make /dev/console");
	close(console);
	umask(mask);
}

void make_devices(int root)
{
	const char *tmpfs[][2] = { { "mode", "0755" }, { "size", "65536k" } };
	const char *devpts[][2] = { { "ptmxmode", "0666" }, { "mode", "0620" }, { "gid", TTY_GROUP } };
	struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT };
	int target = (int)syscall(SYS_openat2, root, "dev", &how, sizeof how);
	int dev = make_file_system("tmpfs", tmpfs, sizeof tmpfs / sizeof *tmpfs);

	if (target < 0)
		die(EXIT_NAMESPACE, "the app has no directory /dev");
	fill(dev);
	if (syscall(SYS_move_mount, dev, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		die(EXIT_NAMESPACE, "cannot mount /dev");
	attach_below(dev, "pts", make_file_system("devpts", devpts, sizeof devpts / sizeof *devpts));
	int shm = (int)syscall(SYS_open_tree, AT_FDCWD, "/dev/shm", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (shm < 0)
		die(EXIT_NAMESPACE, "the pod has no /dev/shm");
	attach_below(dev, "shm", shm);
	close(dev);
	close(target);
}
