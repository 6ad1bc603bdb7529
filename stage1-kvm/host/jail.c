#define _GNU_SOURCE
#include "jail.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* sys/mount.h of this glibc clashes with linux/mount.h; these are all that is needed of it. */
extern int mount(const char *, const char *, const char *, unsigned long, const void *);
extern int umount2(const char *, int);
#define READ_ONLY 1
#define NO_SUID 2
#define NO_DEVICES 4
#define NO_PROGRAMS 8
#define RECURSIVE 16384
#define SLAVE (1 << 19)
#define DETACH 2

/* The working directory. Everything of the pod below it is named as in the pod directory. */
#define POD "pod"
#define SHARED "stage1/rootfs"
#define DISKS "stage1/devices"

/* Where programs and the libraries that they are linked to are. */
static const char *const libraries[] = { "usr", "lib", "lib32", "lib64", "libx32" };
static const char *const devices[] = { "null", "zero", "random", "urandom", "kvm", "net/tun", "vhost-vsock", "vhost-net" };

/* Nobody who may make device files can open them. */
static int make_root(void)
{
	int fs = (int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);

	if (fs < 0 || syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "mode", "0755", 0) < 0 ||
	    syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "size", "1m", 0) < 0 ||
	    syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -1;
	int root = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
	close(fs);
	/* A tree can be attached only to what is attached itself. */
	return root >= 0 && syscall(SYS_move_mount, root, "", AT_FDCWD, ".", MOVE_MOUNT_F_EMPTY_PATH) == 0 ? root : -1;
}

/* What is at `path`, or with an empty one at `directory`, appears at `name` of the new root, where a place for it has been made. */
static bool show(int root, int directory, const char *path, const char *name, uint64_t attributes)
{
	struct mount_attr attr = { .attr_set = attributes };
	unsigned int flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_EMPTY_PATH;
	int tree = (int)syscall(SYS_open_tree, directory, path, flags);
	bool shown = tree >= 0 && syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof attr) == 0 &&
		     syscall(SYS_move_mount, tree, "", root, name, MOVE_MOUNT_F_EMPTY_PATH) == 0;

	if (tree >= 0)
		close(tree);
	return shown;
}

static bool make_file(int root, const char *name)
{
	return mknodat(root, name, S_IFREG | 0644, 0) == 0;
}

/* By its own name, which is that of the process. */
static bool show_program(int root, int program, const char *name)
{
	char path[256];

	snprintf(path, sizeof path, "%s/%s", JAIL_PROGRAMS + 1, basename(name));
	return mkdirat(root, JAIL_PROGRAMS + 1, 0755) == 0 && make_file(root, path) &&
	       show(root, program, "", path, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
}

static bool show_libraries(int root)
{
	char path[32], target[256];
	struct stat st;

	for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++) {
		snprintf(path, sizeof path, "/%s", libraries[i]);
		if (lstat(path, &st) < 0)
			continue;
		if (S_ISLNK(st.st_mode)) {
			ssize_t length = readlink(path, target, sizeof target - 1);
			target[length > 0 ? length : 0] = '\0';
			if (symlinkat(target, root, libraries[i]) < 0)
				return false;
		} else if (mkdirat(root, libraries[i], 0755) < 0 ||
			   !show(root, AT_FDCWD, path, libraries[i], MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)) {
			return false;
		}
	}
	return true;
}

static bool show_devices(int root)
{
	char path[32];

	if (mkdirat(root, "dev", 0755) < 0 || mkdirat(root, "dev/net", 0755) < 0 || mkdirat(root, "dev/shm", 0755) < 0)
		return false;
	for (size_t i = 0; i < sizeof devices / sizeof *devices; i++) {
		snprintf(path, sizeof path, "/dev/%s", devices[i]);
		if (access(path, F_OK) < 0)
			continue;
		if (!make_file(root, path + 1) || !show(root, AT_FDCWD, path, path + 1, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC))
			return false;
	}
	return true;
}

static bool show_files(int root, int pod)
{
	/* Where nothing may be executed, User-Mode Linux finds nothing that its guest may. */
	const uint64_t shared = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;

	return mkdirat(root, POD "/stage1", 0755) == 0 && mkdirat(root, POD "/" SHARED, 0755) == 0 &&
	       mkdirat(root, POD "/" DISKS, 0755) == 0 && show(root, pod, SHARED, POD "/" SHARED, shared) &&
	       show(root, pod, DISKS, POD "/" DISKS, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
}

/* What is written below /proc/sys holds for the host. */
static bool mount_own(void)
{
	return mount("shm", "/dev/shm", "tmpfs", NO_SUID | NO_DEVICES, "mode=1777") == 0 &&
	       mount("proc", "/proc", "proc", READ_ONLY | NO_SUID | NO_DEVICES | NO_PROGRAMS, "") == 0;
}

const char *enter_jail(const char *program, bool files)
{
	if (unshare(CLONE_NEWNS | CLONE_NEWIPC) < 0 || mount("", "/", "", RECURSIVE | SLAVE, NULL) < 0)
		return "namespace";
	/* Before the new root covers them, and in this namespace, whose mounts alone can be cloned. */
	int pod = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC), file = open(program, O_PATH | O_CLOEXEC);
	if (file < 0)
		return program;
	int root = pod < 0 ? -1 : make_root();
	if (root < 0 || mkdirat(root, POD, 0755) < 0 || mkdirat(root, "proc", 0755) < 0)
		return "root";
	if (!show_program(root, file, program))
		return program;
	close(file);
	if (!show_libraries(root))
		return "libraries";
	if (!show_devices(root))
		return "devices";
	if (files && !show_files(root, pod))
		return "files";
	close(pod);
	/* The old root comes to lie on the new one, and goes; pivot_root(2). */
	if (fchdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", DETACH) < 0 || chdir("/" POD) < 0)
		return "change of the root";
	close(root);
	return mount_own() ? NULL : "mounts";
}
