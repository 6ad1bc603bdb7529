/*
 * What the units of a pod record, in one program:
 *   app-status app APP   after an app has ended: its exit status to /rkt/status/APP, and to /rkt/reason/APP when it was
 *                        killed for its use of memory; a failure ends the pod
 *   app-status pod       at the end: exits with the status of the app that failed first, else 0; also to /rkt/pod-status
 *   app-status ready     once every app was started: /rkt/supervisor-status -> ready
 */
#define _GNU_SOURCE
#include "drain-journal.h"
#include "memory-marks.h"
#include "output-lock.h"
#include "show-trace.h"
#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FIRST_FAILURE "/rkt/first-failure"
/* Less than what a unit has for its stop, and than the monitor of a machine waits. */
#define JOURNAL_SECONDS 60
/* All writers are gone by then, so this is only used up when journald does not read. */
#define OUTPUT_SECONDS 20

static int complain(const char *what)
{
	dprintf(2, "rkt: %s: %s\n", what, strerror(errno));
	return 1;
}

static int write_file(const char *path, int flags, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | flags, 0644);

	if (fd < 0)
		return -1;
	ssize_t n = write(fd, text, strlen(text));
	return close(fd) < 0 || n != (ssize_t)strlen(text) ? -1 : 0;
}

/* systemd gives a number for an exit and a name without SIG for a signal; rkt records the number of either. */
static int exit_status(void)
{
	const char *code = getenv("EXIT_CODE"), *status = getenv("EXIT_STATUS");

	if (!code || !status)
		return 255;
	if (!strcmp(code, "exited"))
		return atoi(status) & 255;
	for (int signal = 1; signal < NSIG; signal++) {
		const char *name = sigabbrev_np(signal);
		if (name && !strcmp(name, status))
			return signal;
	}
	return atoi(status) ? atoi(status) & 255 : 255;
}

/*
 * Whether the kernel killed a process of this cgroup, which is the app's, for its use of memory. systemd 252 does not
 * know with version 1 of cgroups.
 */
static int was_killed_by_kernel(void)
{
	char line[1024], path[1280] = "";
	FILE *groups = fopen("/proc/self/cgroup", "re");

	while (groups && fgets(line, sizeof line, groups)) {
		char *controllers = strchr(line, ':');
		char *group = controllers ? strchr(controllers + 1, ':') : NULL;
		if (!group)
			continue;
		*group++ = '\0';
		group[strcspn(group, "\n")] = '\0';
		if (!strcmp(controllers, ":memory")) {
			snprintf(path, sizeof path, "/sys/fs/cgroup/memory%s/memory.oom_control", group);
			break;
		}
		if (!strcmp(controllers, ":"))
			snprintf(path, sizeof path, "/sys/fs/cgroup%s/memory.events", group);
	}
	if (groups)
		fclose(groups);

	FILE *events = fopen(path, "re");
	long kills = 0;
	while (events && fgets(line, sizeof line, events))
		if (sscanf(line, "oom_kill %ld", &kills) == 1)
			break;
	if (events)
		fclose(events);
	return kills > 0;
}

static int was_out_of_memory(const char *app)
{
	char mark[512];

	snprintf(mark, sizeof mark, MEMORY_MARKS "/%s", app);
	return access(mark, F_OK) == 0 || was_killed_by_kernel();
}

/* What the app printed is with the journal before the pod can end. */
static void wait_for_output(const char *app)
{
	char path[512];

	output_lock_path(path, sizeof path, app);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	for (int tries = 0; fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0 && tries < OUTPUT_SECONDS * 200; tries++)
		usleep(5000);
	if (fd >= 0)
		close(fd);
}

/* Told by the number alone: systemd calls an app that SIGTERM killed successful. */
static int record_app(const char *app)
{
	char path[512], temporary[512], text[16];
	int status = exit_status();

	wait_for_output(app);
	if (status != 0 && was_out_of_memory(app)) {
		snprintf(path, sizeof path, "/rkt/reason/%s", app);
		if (write_file(path, O_TRUNC, "oom-kill\n") < 0)
			complain(path);
	}
	snprintf(path, sizeof path, "/rkt/status/%s", app);
	snprintf(temporary, sizeof temporary, "/rkt/status/.%s", app);
	snprintf(text, sizeof text, "%d\n", status);
	if (write_file(temporary, O_TRUNC, text) < 0 || rename(temporary, path) < 0)
		return complain(path);
	if (status == 0)
		return 0;
	if (write_file(FIRST_FAILURE, O_EXCL, text) < 0 && errno != EEXIST)
		return complain(FIRST_FAILURE);
	/* systemd starts halt.target for this signal, systemd(1). */
	return kill(1, SIGRTMIN + 3) < 0 ? complain("cannot end the pod") : 0;
}

static int first_failure(void)
{
	char text[16] = "";
	int fd = open(FIRST_FAILURE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return errno == ENOENT ? 0 : 255;
	return read(fd, text, sizeof text - 1) > 0 ? atoi(text) & 255 : 255;
}

/* On record as well: a virtual machine has no exit status. */
static int pod_status(void)
{
	char text[16];
	int status = first_failure();

	drain_journal(JOURNAL_SECONDS);
	snprintf(text, sizeof text, "%d\n", status);
	if (write_file("/rkt/.pod-status", O_TRUNC, text) < 0 || rename("/rkt/.pod-status", "/rkt/pod-status") < 0)
		complain("/rkt/pod-status");
	return status;
}

/* The socket of journald is what systemd makes first, once it is up itself. */
static void trace_systemd(void)
{
	struct stat socket;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (getenv(TRACE_VARIABLE) && lstat("/run/systemd/journal/stdout", &socket) == 0)
		trace((now.tv_sec - socket.st_mtim.tv_sec) * 1000000 + (now.tv_nsec - socket.st_mtim.tv_nsec) / 1000,
		      "machine systemd");
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "app") && !strchr(argv[2], '/')) {
		trace(0, "app %s ended", argv[2]);
		return record_app(argv[2]);
	}
	if (argc == 2 && !strcmp(argv[1], "pod")) {
		int status = pod_status();
		trace(0, "pod end");
		show_trace();
		return status;
	}
	if (argc == 2 && !strcmp(argv[1], "ready")) {
		trace_systemd();
		trace(0, "pod ready");
		return symlink("ready", "/rkt/supervisor-status") < 0 && errno != EEXIST ? complain("ready") : 0;
	}
	dprintf(2, "usage: app-status app APP | pod | ready\n");
	return 1;
}
