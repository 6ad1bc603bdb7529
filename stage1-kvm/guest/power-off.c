/*
 * In place of systemd-shutdown, which PID 1 becomes when the pod has ended: ends what still runs, writes everything to the
 * host and ends the machine. systemd's own would first load and lock all its libraries in memory, for disks and devices that
 * a guest does not have.
 * power-off VERB ...; a verb of systemd-shutdown, of which only `reboot` and `kexec` are not the end
 */
#define _GNU_SOURCE
#include "clock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* As long as systemd waits for a service. */
#define SECONDS 10

/* True when no process is left: whoever loses its parent becomes a child of PID 1. */
static bool reap(void)
{
	pid_t pid;

	do
		pid = waitpid(-1, NULL, WNOHANG);
	while (pid > 0);
	return pid < 0 && errno == ECHILD;
}

/* Sends a signal to all processes, and waits until they have ended. SIGCHLD is blocked. */
static bool end_all(int signal)
{
	const int64_t until = now() + SECONDS * 1000;
	sigset_t ended;

	sigemptyset(&ended);
	sigaddset(&ended, SIGCHLD);
	kill(-1, signal);
	while (!reap()) {
		int64_t left = until - now();
		if (left <= 0)
			return false;
		const struct timespec wait = { .tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000 };
		sigtimedwait(&ended, NULL, &wait);
	}
	return true;
}

/* A kernel that was told to be quiet still prints its most urgent messages, and that it ends is one of them. */
static void silence_kernel(void)
{
	char level[2];
	int fd = open("/proc/sys/kernel/printk", O_RDWR | O_CLOEXEC);

	if (fd >= 0 && pread(fd, level, sizeof level, 0) == sizeof level && !memcmp(level, "1\t", sizeof level))
		dprintf(fd, "0");
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "poweroff";
	sigset_t all;

	if (getpid() != 1) {
		fprintf(stderr, "power-off: only PID 1 ends the machine\n");
		return 1;
	}
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	/* The signal that tells of a child is not sent where it is ignored. */
	signal(SIGCHLD, SIG_DFL);
	if (!end_all(SIGTERM))
		end_all(SIGKILL);
	sync();
	silence_kernel();
	reboot(!strcmp(verb, "reboot") || !strcmp(verb, "kexec") ? RB_AUTOBOOT : RB_POWER_OFF);
	return 1;
}
