/* The file system that an app sees: its own root with /proc, /sys and a few files of the pod, parts of them hidden. */
#define _GNU_SOURCE
#include "spec.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* sys/mount.h of this glibc clashes with linux/mount.h; these two are all that is needed of it. */
extern int mount(const char *, const char *, const char *, unsigned long, const void *);
extern int umount2(const char *, int);
#define DETACH 2
/* Links to disks, which a machine's init makes. */
#define DISKS "/dev/rkt"
/* A directory of the pod that nobody needs while an app is being started. */
#define EMPTY_PLACE "/rkt/reason"

static int open_below(int dir, const char *path, uint64_t resolve)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = resolve | RESOLVE_NO_MAGICLINKS };

	while (*path == '/')
		path++;
	return (int)syscall(SYS_openat2, dir, *path ? path : ".", &how, sizeof how);
}

static int clone_mount(int dir, const char *path, unsigned int recursive)
{
	unsigned int flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_NO_AUTOMOUNT;

	return (int)syscall(SYS_open_tree, dir, path, flags | recursive);
}

static int clone_tree(int dir, const char *path)
{
	return clone_mount(dir, path, AT_RECURSIVE);
}

static int attach(int tree, int target)
{
	return (int)syscall(SYS_move_mount, tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

static int set_attributes(int mount_fd, uint64_t attributes, unsigned int flags)
{
	struct mount_attr attr = { .attr_set = attributes };

	return (int)syscall(SYS_mount_setattr, mount_fd, "", AT_EMPTY_PATH | flags, &attr, sizeof attr);
}

/* A path of the pod's root appears at the same path of the app's. `resolve` says which links of the image count. */
static void bind_tree(int root, int tree, const char *path, uint64_t resolve, uint64_t attributes)
{
	int target = open_below(root, path, resolve);

	if (tree < 0 || target < 0)
		die(EXIT_NAMESPACE, "cannot bind %s", path);
	if (attributes && set_attributes(tree, attributes, 0) < 0)
		die(EXIT_NAMESPACE, "cannot restrict %s", path);
	if (attach(tree, target) < 0)
		die(EXIT_NAMESPACE, "cannot mount %s", path);
	close(tree);
	close(target);
}

static void bind_from_pod(int root, const char *path, uint64_t resolve, uint64_t attributes)
{
	bind_tree(root, clone_tree(AT_FDCWD, path), path, resolve, attributes);
}

/* Without the cgroups below it, which no app sees anyway. A user namespace may not leave out what covers something. */
static void bind_sys(int root)
{
	int tree = clone_mount(AT_FDCWD, "/sys", 0);

	if (tree < 0)
		tree = clone_tree(AT_FDCWD, "/sys");
	bind_tree(root, tree, "/sys", RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS, 0);
}

/* The file under it was made with the app's /dev; where an image keeps its own /dev there may be none. */
static void bind_console(int root)
{
	int target = open_below(root, "dev/console", RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);

	if (target >= 0 && access("/dev/console", F_OK) == 0)
		bind_from_pod(root, "/dev/console", RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
	close(target);
}

/* An empty file and an empty directory that nobody can change, on a file system of their own. */
static void make_empty(int *directory, int *file)
{
	int fs = (int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);

	if (fs < 0 || syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "mode", "0755", 0) < 0 ||
	    syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "size", "4096", 0) < 0 ||
	    syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		die(EXIT_NAMESPACE, "cannot make the file system that hides paths");
	unsigned int attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
	int top = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, attributes);
	if (top < 0 || mkdirat(top, "d", 0) < 0 || mknodat(top, "f", S_IFREG, 0) < 0)
		die(EXIT_NAMESPACE, "cannot make the files that hide paths");
	if (set_attributes(top, MOUNT_ATTR_RDONLY, 0) < 0)
		die(EXIT_NAMESPACE, "cannot make the file system that hides paths read-only");
	/* Before 6.15 the kernel clones no mount that is not attached; it goes when the root of the pod is left. */
	int place = open(EMPTY_PLACE, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (place < 0 || attach(top, place) < 0)
		die(EXIT_NAMESPACE, "cannot mount the file system that hides paths");
	close(place);
	*directory = openat(top, "d", O_PATH | O_CLOEXEC);
	*file = openat(top, "f", O_PATH | O_CLOEXEC);
	close(fs);
}

static void cover(int root, const char *path, int directory, int file)
{
	struct stat st;
	int target = open_below(root, path, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);

	if (target < 0) {
		if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)
			return;
		die(EXIT_NAMESPACE, "cannot hide %s", path);
	}
	if (fstat(target, &st) < 0)
		die(EXIT_NAMESPACE, "cannot hide %s", path);
	int tree = clone_tree(S_ISDIR(st.st_mode) ? directory : file, "");
	if (tree < 0 || attach(tree, target) < 0)
		die(EXIT_NAMESPACE, "cannot hide %s", path);
	close(tree);
	close(target);
}

static void make_readonly(int root, const char *path)
{
	int target = open_below(root, path, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);

	if (target < 0) {
		if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)
			return;
		die(EXIT_NAMESPACE, "cannot protect %s", path);
	}
	int tree = clone_tree(target, "");
	if (tree < 0 || set_attributes(tree, MOUNT_ATTR_RDONLY, AT_RECURSIVE) < 0 || attach(tree, target) < 0)
		die(EXIT_NAMESPACE, "cannot protect %s", path);
	close(tree);
	close(target);
}

/* The disk of this machine that is the host's device, which it belongs to the same user and group as. */
static int clone_disk(const struct stat *st)
{
	char path[64];

	snprintf(path, sizeof path, DISKS "/%u-%u", major(st->st_rdev), minor(st->st_rdev));
	if (chown(path, st->st_uid, st->st_gid) < 0 || chmod(path, st->st_mode & 0666) < 0)
		die(EXIT_NAMESPACE, "cannot find the disk %s", path);
	return clone_tree(AT_FDCWD, path);
}

static const char *place_of(const char *volume)
{
	return volume + (*volume == '+');
}

/*
 * What the host has mounted for a volume, to be mounted again: nosuid and nodev of a mount on the host mean nothing to
 * another kernel, and neither do the numbers of a disk.
 */
static int take_volume(int root, const char *volume)
{
	const char *path = place_of(volume);
	struct stat st;
	int place = open_below(root, path, RESOLVE_IN_ROOT);

	if (place < 0 || fstat(place, &st) < 0)
		die(EXIT_NAMESPACE, "cannot find the volume at %s", path);
	bool disk = S_ISBLK(st.st_mode);
	uint64_t attributes = (*volume == '+' ? 0 : MOUNT_ATTR_NOSUID) | (disk ? 0 : MOUNT_ATTR_NODEV);
	int tree = disk ? clone_disk(&st) : clone_tree(place, "");
	if (tree < 0 || set_attributes(tree, attributes, AT_RECURSIVE) < 0)
		die(EXIT_NAMESPACE, "cannot restrict the volume at %s", path);
	close(place);
	return tree;
}

/* The host has made a place for each volume in the image's /dev, but there is none in the /dev that covers it. */
static int make_place(int root, const char *path, bool directory)
{
	char *copy = strdup(path), *rest = copy, *name;
	int place = open_below(root, "/", 0);

	while (place >= 0 && (name = strsep(&rest, "/"))) {
		if (!*name)
			continue;
		int made = rest || directory ? mkdirat(place, name, 0755) : mknodat(place, name, S_IFREG | 0644, 0);
		int next = made == 0 || errno == EEXIST ? open_below(place, name, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS) : -1;
		close(place);
		place = next;
	}
	free(copy);
	return place;
}

static void put_volume(int root, const char *path, int tree)
{
	struct stat st;
	int place = open_below(root, path, RESOLVE_IN_ROOT);

	if (place < 0 && errno == ENOENT && fstat(tree, &st) == 0)
		place = make_place(root, path, S_ISDIR(st.st_mode));
	if (place < 0 || attach(tree, place) < 0)
		die(EXIT_NAMESPACE, "cannot mount the volume at %s", path);
	close(place);
	close(tree);
}

/* The app's /dev covers the image's, and so the volumes below it, until they are mounted there again. */
static void make_devices_and_volumes(int root, const struct spec *spec)
{
	int *trees = calloc(spec->volumes.count + 1, sizeof *trees);

	if (!trees)
		die(EXIT_NAMESPACE, "out of memory");
	for (size_t i = 0; i < spec->volumes.count; i++)
		trees[i] = take_volume(root, spec->volumes.items[i]);
	make_devices(root);
	for (size_t i = 0; i < spec->volumes.count; i++)
		put_volume(root, place_of(spec->volumes.items[i]), trees[i]);
	free(trees);
}

static void pivot_to(int root)
{
	if (fchdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
		die(EXIT_NAMESPACE, "cannot change the root");
	/* The old root lies over the new one at the same place; it goes with everything below it. */
	if (umount2(".", DETACH) < 0 || chroot(".") < 0 || chdir("/") < 0)
		die(EXIT_NAMESPACE, "cannot leave the root of the pod");
}

void enter_app_root(const struct spec *spec)
{
	const uint64_t quiet = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
	int directory, file;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		die(EXIT_NAMESPACE, "cannot make a mount namespace");
	/* Without overlay the root is a plain directory; pivot_root needs a mount. */
	if (mount(spec->root, spec->root, NULL, MS_BIND | MS_REC, NULL) < 0)
		die(EXIT_NAMESPACE, "cannot mount %s", spec->root);
	int root = open(spec->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		die(EXIT_NAMESPACE, "cannot open %s", spec->root);
	make_empty(&directory, &file);
	if (spec->make_devices)
		make_devices_and_volumes(root, spec);
	bind_from_pod(root, "/proc", RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS, 0);
	if (spec->bind_sys)
		bind_sys(root);
	bind_console(root);
	for (size_t i = 0; i < spec->binds.count; i++) {
		const char *path = spec->binds.items[i];
		bool optional = *path == '-';

		path += optional;
		if (!optional || access(path, F_OK) == 0)
			bind_from_pod(root, path, RESOLVE_IN_ROOT, quiet | MOUNT_ATTR_RDONLY);
	}
	for (size_t i = 0; i < spec->readonly.count; i++)
		make_readonly(root, spec->readonly.items[i]);
	for (size_t i = 0; i < spec->masks.count; i++)
		cover(root, spec->masks.items[i], directory, file);
	if (spec->readonly_root && set_attributes(root, MOUNT_ATTR_RDONLY, 0) < 0)
		die(EXIT_NAMESPACE, "cannot make the root read-only");
	close(directory);
	close(file);
	pivot_to(root);
	close(root);
}
