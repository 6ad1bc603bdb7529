/*
 * PID 1 of a pod until it becomes systemd: makes usable what nspawn leaves read-only or out.
 * init [--keep-stdio] [--domain-name=NAME] SYSTEMD-ARGUMENTS...
 */
#define _GNU_SOURCE
#include "baseline.h"
#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SYSTEMD "/usr/lib/systemd/systemd"
#define DOMAIN_NAME "--domain-name="
#define CGROUPS "/sys/fs/cgroup"

static void warn(const char *what)
{
	dprintf(2, "rkt: %s: %s\n", what, strerror(errno));
}

/*
 * nspawn mounts the controllers of cgroup v1 read-only, so that no limit on an app would take effect. In a cgroup
 * namespace of its own the pod sees and can change nothing but what is below its own cgroup.
 */
static void open_controllers(void)
{
	static const char *const controllers[] = { "cpu,cpuacct", "cpu", "cpuacct", "memory", "pids", "devices", "blkio" };
	char path[128];
	struct stat st;
	int separate = 0;

	for (size_t i = 0; i < sizeof controllers / sizeof *controllers; i++) {
		snprintf(path, sizeof path, CGROUPS "/%s", controllers[i]);
		if (lstat(path, &st) < 0 || !S_ISDIR(st.st_mode) || access(path, W_OK) == 0)
			continue;
		if (!separate && unshare(CLONE_NEWCGROUP) < 0) {
			warn("cannot make a cgroup namespace");
			return;
		}
		separate = 1;
		umount2(path, MNT_DETACH);
		if (mount("cgroup", path, "cgroup", MS_NOSUID | MS_NODEV | MS_NOEXEC, controllers[i]) < 0)
			warn(path);
	}
}

/* systemd closes its standard input; `launch` takes the descriptors from this process when it starts the app. */
static void keep_stdio(void)
{
	pid_t pid = fork();

	if (pid < 0)
		warn("cannot keep standard input");
	if (pid != 0)
		return;
	prctl(PR_SET_NAME, "stdio-keeper");
	/* Sockets that were passed are for the apps. */
	syscall(SYS_close_range, 3, ~0u, 0);
	for (int signal = 1; signal < NSIG; signal++)
		if (signal != SIGKILL && signal != SIGSTOP && signal != SIGTERM)
			sigaction(signal, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	int first = 1;

	trace(0, "machine nspawn");
	if (first < argc && !strcmp(argv[first], "--keep-stdio")) {
		keep_stdio();
		first++;
	}
	if (first < argc && !strncmp(argv[first], DOMAIN_NAME, strlen(DOMAIN_NAME))) {
		const char *name = argv[first++] + strlen(DOMAIN_NAME);
		if (setdomainname(name, strlen(name)) < 0) {
			warn("cannot set the domain name");
			return 1;
		}
	}
	/*
	 * A supervisor that is killed takes the pod along; otherwise it would go on, watched by nobody. systemd keeps this,
	 * and the first process of the pod cannot ignore a signal from outside.
	 */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		warn("cannot follow systemd-nspawn");
	open_controllers();
	const char *missing = install_baseline();
	if (missing) {
		warn(missing);
		return 1;
	}
	trace(0, "machine init");
	argv[first - 1] = SYSTEMD;
	execv(SYSTEMD, argv + first - 1);
	warn(SYSTEMD);
	return 1;
}
