/*
 * PID 1 of the guest until it becomes systemd: what a kernel of its own has to be told before any program can work. A
 * failure is said on the console and ends the machine, so that nothing hangs.
 */
#define _GNU_SOURCE
#include "baseline.h"
#include "network.h"
#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#define SYSTEMD "/usr/lib/systemd/systemd"
#define MODULES "/rkt/vm/modules"
#define NETWORK "/rkt/vm/network"
#define BOOT_ID "/rkt/vm/boot-id"
#define SYSCTLS "/rkt/vm/sysctl"
#define MOUNTS "/rkt/vm/mounts"
#define DISKS "/dev/rkt"
/* On the kernel's command line. */
#define DEBUG_WORD "rkt.debug"
/* The same, which the kernel hands on: `vda:7-0,vdb:7-16`. */
#define DISKS_VARIABLE "rkt_disks"
/* Of a hypervisor that gives disks serials of its own: they are in the order of the list. */
#define ORDER_VARIABLE "rkt_disks_in_order"
/* Of a machine whose kernel came with the programs of all pods: the type of the file system `root`, which it has not mounted. */
#define ROOT_VARIABLE "rkt_root"
/* There, the paths of these programs. */
#define PROGRAMS "/programs"
#define NEW_ROOT "/root"
/* Of a machine that cannot be switched off, and ends when it would start again. */
#define OFF_VARIABLE "rkt_off"

static void give_up(const char *what)
{
	if (errno)
		dprintf(2, "rkt: %s: %s\n", what, strerror(errno));
	sync();
	reboot(getenv(OFF_VARIABLE) ? RB_AUTOBOOT : RB_POWER_OFF);
	_exit(1);
}

/*
 * Becomes part of the pod's root, in which the programs that came with the kernel take the places of the same files: the
 * server of that root would be asked for them again at every start of each, and their pages would be thrown away.
 */
static void enter_root(const char *type)
{
	FILE *list = fopen(PROGRAMS, "re");
	char path[256], target[300];

	if (!list || mount("root", NEW_ROOT, type, 0, NULL) < 0)
		give_up("the pod's root");
	while (fgets(path, sizeof path, list)) {
		path[strcspn(path, "\n")] = '\0';
		snprintf(target, sizeof target, NEW_ROOT "%s", path);
		if (mount(path, target, NULL, MS_BIND, NULL) < 0)
			give_up(target);
	}
	fclose(list);
	if (chdir(NEW_ROOT) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0)
		give_up(NEW_ROOT);
}

static void mount_file_systems(void)
{
	static const struct {
		const char *type, *target, *options;
		unsigned long flags;
	} all[] = {
		{ "proc", "/proc", "", MS_NOSUID | MS_NODEV | MS_NOEXEC },
		{ "sysfs", "/sys", "", MS_NOSUID | MS_NODEV | MS_NOEXEC },
		{ "devtmpfs", "/dev", "mode=755", MS_NOSUID },
		{ "devpts", "/dev/pts", "mode=620,gid=5,ptmxmode=666", MS_NOSUID | MS_NOEXEC },
		{ "tmpfs", "/dev/shm", "mode=1777", MS_NOSUID | MS_NODEV },
		{ "tmpfs", "/run", "mode=755", MS_NOSUID | MS_NODEV },
		{ "tmpfs", "/tmp", "mode=1777", MS_NOSUID | MS_NODEV },
		{ "cgroup2", "/sys/fs/cgroup", "nsdelegate", MS_NOSUID | MS_NODEV | MS_NOEXEC },
	};

	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		if (!strncmp(all[i].target, "/dev/", 5))
			mkdir(all[i].target, 0755);
		/* The kernel may have mounted /dev. */
		if (mount(all[i].type, all[i].target, all[i].type, all[i].flags, all[i].options) < 0 && errno != EBUSY)
			give_up(all[i].target);
	}
}

/* The host has the same for whoever asks it which entries of the journal are of this boot. */
static void take_boot_id(void)
{
	const char *const place = "/proc/sys/kernel/random/boot_id";
	const unsigned long attributes = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;

	if (access(BOOT_ID, F_OK) < 0)
		return;
	if (mount(BOOT_ID, place, NULL, MS_BIND, NULL) < 0 ||
	    mount(NULL, place, NULL, MS_BIND | MS_REMOUNT | attributes, NULL) < 0)
		give_up(place);
}

/* A bit for each kind of device on the bus of virtio, by its number in the specification; the bus numbers them from 0. */
static uint64_t virtio_devices(void)
{
	char path[64], text[16];
	uint64_t found = 0;

	for (int i = 0;; i++) {
		snprintf(path, sizeof path, "/sys/bus/virtio/devices/virtio%d/device", i);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return found;
		ssize_t size = read(fd, text, sizeof text - 1);
		close(fd);
		text[size > 0 ? size : 0] = '\0';
		found |= UINT64_C(1) << (strtoul(text, NULL, 16) & 63);
	}
}

/*
 * In the order of the list, in which nothing comes before what it needs. A number after the name is the kind of device of
 * virtio without which nobody needs the module.
 */
static void load_modules(void)
{
	FILE *list = fopen(MODULES "/order", "re");
	const uint64_t devices = virtio_devices();
	char line[256], path[512];

	if (!list)
		return;
	while (fgets(line, sizeof line, list)) {
		char *rest = line, *name = strsep(&rest, " \n");
		if (rest && *rest && !(devices >> (atoi(rest) & 63) & 1))
			continue;
		snprintf(path, sizeof path, MODULES "/%s", name);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST))
			give_up(path);
		close(fd);
	}
	fclose(list);
}

/*
 * A disk of virtio says which one it is. Those of User-Mode Linux are numbered on the command line, and their serial is
 * something else.
 */
static int is_disk(const char *device, const char *name)
{
	char path[128], serial[32] = "";

	if (strncmp(device, "vd", 2) || getenv(ORDER_VARIABLE))
		return 1;
	snprintf(path, sizeof path, "/sys/class/block/%s/serial", device);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, serial, sizeof serial - 1) < 0)
		give_up(path);
	close(fd);
	serial[strcspn(serial, "\n")] = '\0';
	return !strcmp(serial, name);
}

/* Links /dev/rkt/NUMBERS-ON-THE-HOST to the disks of this machine. */
static void name_disks(void)
{
	char *rest = getenv(DISKS_VARIABLE), *name, path[128], target[64];

	if (rest && mkdir(DISKS, 0755) < 0)
		give_up(DISKS);
	while (rest && (name = strsep(&rest, ","))) {
		char *device = strsep(&name, ":");
		if (!name || !is_disk(device, name)) {
			errno = ENODEV;
			give_up(device);
		}
		snprintf(path, sizeof path, DISKS "/%s", name);
		snprintf(target, sizeof target, "../%s", device);
		if (symlink(target, path) < 0 || access(path, F_OK) < 0)
			give_up(path);
	}
}

/* The kernel opened the console before there were devices, or not at all. */
static void open_console(void)
{
	int fd = open("/dev/console", O_RDWR | O_NOCTTY);

	if (fd < 0)
		return;
	for (int i = 0; i < 3; i++)
		if (i != fd)
			dup2(fd, i);
	if (fd > 2)
		close(fd);
}

/* When nobody has the console open it forgets its modes, among them that lines end in a newline alone. */
static void keep_console(void)
{
	pid_t pid = fork();

	if (pid != 0)
		return;
	prctl(PR_SET_NAME, "console-keeper");
	for (int signal = 1; signal < NSIG; signal++)
		if (signal != SIGKILL && signal != SIGSTOP && signal != SIGTERM)
			sigaction(signal, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL);
	for (;;)
		pause();
}

/* What apps want set of this kernel, which is theirs alone. The host has checked the names; they lead nowhere else. */
static void set_sysctls(void)
{
	FILE *list = fopen(SYSCTLS, "re");
	char line[4096], path[4200];

	if (!list)
		give_up(SYSCTLS);
	while (fgets(line, sizeof line, list)) {
		line[strcspn(line, "\n")] = '\0';
		char *value = strchr(line, '=');
		if (!value)
			continue;
		*value++ = '\0';
		snprintf(path, sizeof path, "/proc/sys/%s", line);
		int fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd < 0 || write(fd, value, strlen(value)) != (ssize_t)strlen(value))
			give_up(path);
		close(fd);
	}
	fclose(list);
}

/*
 * What the host has mounted becomes a mount of virtiofs when somebody comes by. Were that only the apps, it would be gone
 * with the last of them, and the kernel stops with "Busy inodes after unmount" when virtiofsd has not yet closed their files.
 */
static void keep_mounts(void)
{
	FILE *list = fopen(MOUNTS, "re");
	char *path = NULL;
	size_t size = 0;

	if (!list)
		give_up(MOUNTS);
	while (getdelim(&path, &size, '\0', list) > 0) {
		int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0)
			close(fd);
	}
	free(path);
	fclose(list);
}

/* User-Mode Linux takes its clock from the host's, and starts at once. */
static int is_program_of_host(void)
{
	struct statfs root;

	return statfs("/", &root) == 0 && root.f_type == HOSTFS_SUPER_MAGIC;
}

/*
 * The clock that an emulated machine starts with is right to the second only. The host gives a file that is made its own
 * time, so that the times of a trace fit those of the host. Only what is made is asked of the host, whose answer is kept then.
 */
static void set_clock(void)
{
	int fd = open(TRACE_FILE, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0)
		clock_settime(CLOCK_REALTIME, &st.st_mtim);
	if (fd >= 0)
		close(fd);
}

/* Microseconds since the kernel began. */
static int64_t uptime(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int is_debugged(void)
{
	char text[4096] = "";
	int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

	if (fd >= 0)
		close(fd);
	return size > 0 && strstr(text, DEBUG_WORD) != NULL;
}

int main(void)
{
	static char *const quiet[] = { SYSTEMD, "--log-target=null", "--show-status=0", NULL };
	static char *const loud[] = { SYSTEMD, NULL };
	/* Only where units are: systemd looks at each of its directories for each unit. */
	static char *const environment[] = {
		"PATH=/usr/bin",
		"SYSTEMD_UNIT_PATH=/etc/systemd/system:/run/systemd/system:/usr/lib/systemd/system",
		NULL,
	};
	const char *root = getenv(ROOT_VARIABLE);
	int64_t took = 0;

	umask(0022);
	if (root) {
		took = -uptime();
		enter_root(root);
		took += uptime();
	}
	if (!is_program_of_host()) {
		if (getenv(TRACE_VARIABLE))
			set_clock();
		trace(uptime(), "machine hypervisor");
	}
	trace(took, "machine kernel");
	mount_file_systems();
	take_boot_id();
	open_console();
	keep_console();
	load_modules();
	name_disks();
	if (configure_network(NETWORK) < 0) {
		errno = 0;
		give_up("network");
	}
	set_sysctls();
	keep_mounts();
	const char *missing = install_baseline();
	if (missing)
		give_up(missing);
	trace(0, "machine init");
	execve(SYSTEMD, is_debugged() ? loud : quiet, environment);
	give_up(SYSTEMD);
	return 1;
}
