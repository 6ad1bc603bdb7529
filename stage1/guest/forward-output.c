/*
 * Pipes in place of the sockets of the journal. A socket cannot be opened again by /dev/stdout or /proc/self/fd/1, which
 * images made for docker do: their log files are links to these. A process of its own passes everything on.
 */
#define _GNU_SOURCE
#include "output-lock.h"
#include "spec.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define STREAMS 2

struct stream {
	int from;
	int to;
};

static void move_to(const char *hierarchy, const char *group, size_t length)
{
	char path[4096];

	snprintf(path, sizeof path, "/sys/fs/cgroup%s%.*s/init.scope/cgroup.procs", hierarchy, (int)length, group);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	/* Where this fails, the last lines of an app that ends at once may be lost. */
	(void)!write(fd, "0", 1);
	close(fd);
}

/* To where the first process of the pod is: what systemd kills when an app has ended would still have bytes to pass on. */
static void leave_unit(void)
{
	char line[4096];
	FILE *groups = fopen("/proc/self/cgroup", "re");

	while (groups && fgets(line, sizeof line, groups)) {
		char *controllers = strchr(line, ':');
		char *group = controllers ? strchr(controllers + 1, ':') : NULL;
		char *unit = group ? strstr(group + 1, "/system.slice/") : NULL;
		if (!unit)
			continue;
		*group++ = '\0';
		/* The last one: the host may have put the pod below a slice of that name. */
		for (char *next; (next = strstr(unit + 1, "/system.slice/")); unit = next)
			;
		if (!strcmp(controllers, ":name=systemd")) {
			move_to("/systemd", group, (size_t)(unit - group));
		} else if (!strcmp(controllers, ":")) {
			move_to("", group, (size_t)(unit - group));
			move_to("/unified", group, (size_t)(unit - group));
		}
	}
	if (groups)
		fclose(groups);
}

/* It needs no rights at all, and the app may not look into it. */
static void give_up_rights(const struct spec *spec)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { 0 };

	if (setgroups(0, NULL) < 0 || setresgid(spec->gid, spec->gid, spec->gid) < 0 ||
	    setresuid(spec->uid, spec->uid, spec->uid) < 0 || syscall(SYS_capset, &header, none) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		_exit(1);
}

/* Where nobody reads any more the bytes are dropped: an app does not end because a log does. */
static void write_all(int fd, const char *bytes, size_t count)
{
	while (count > 0) {
		ssize_t n = write(fd, bytes, count);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		bytes += n;
		count -= (size_t)n;
	}
}

static void pass_on(struct stream *streams)
{
	static char buffer[64 * 1024];
	int open_streams = STREAMS;

	while (open_streams > 0) {
		struct pollfd polled[STREAMS];
		for (int i = 0; i < STREAMS; i++)
			polled[i] = (struct pollfd){ .fd = streams[i].from, .events = POLLIN };
		if (poll(polled, STREAMS, -1) < 0 && errno != EINTR)
			return;
		for (int i = 0; i < STREAMS; i++) {
			if (polled[i].fd < 0 || !polled[i].revents)
				continue;
			ssize_t n = read(polled[i].fd, buffer, sizeof buffer);
			if (n > 0) {
				write_all(streams[i].to, buffer, (size_t)n);
			} else if (n == 0 || errno != EINTR) {
				streams[i].from = -1;
				open_streams--;
			}
		}
	}
}

/* Signals to the unit are meant for the app; this ends with the last process that can still write. */
static void run_forwarder(const struct spec *spec, struct stream *streams, int lock)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	leave_unit();
	for (int i = 0; i < STREAMS; i++) {
		/* Past everything that is closed below. */
		streams[i].from = fcntl(streams[i].from, F_DUPFD, 10);
		streams[i].to = fcntl(streams[i].to, F_DUPFD, 10);
		if (streams[i].from < 0 || streams[i].to < 0)
			_exit(1);
	}
	if (fcntl(lock, F_DUPFD, 10) < 0)
		_exit(1);
	syscall(SYS_close_range, 0, 9, 0);
	give_up_rights(spec);
	pass_on(streams);
	_exit(0);
}

/* Held until the last byte is passed on: app-status waits for that. */
static int take_lock(const char *app)
{
	char path[512];

	output_lock_path(path, sizeof path, app);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || flock(fd, LOCK_EX) < 0)
		die(EXIT_STDOUT, "cannot lock %s", path);
	return fd;
}

void forward_output(const struct spec *spec, const char *app)
{
	struct stream streams[STREAMS];
	int ends[STREAMS][2];
	int lock = take_lock(app);

	for (int i = 0; i < STREAMS; i++) {
		/* The app may open its own output, whoever it runs as. */
		if (pipe2(ends[i], O_CLOEXEC) < 0 || fchown(ends[i][1], spec->uid, spec->gid) < 0)
			die(EXIT_STDOUT, "cannot make a pipe for the output");
		streams[i] = (struct stream){ .from = ends[i][0], .to = i + 1 };
	}
	/* A child of the pod's first process: the app finds none that it did not start. */
	pid_t child = fork();
	if (child == 0) {
		pid_t forwarder = fork();
		if (forwarder != 0)
			_exit(forwarder < 0);
		for (int i = 0; i < STREAMS; i++)
			close(ends[i][1]);
		run_forwarder(spec, streams, lock);
	}
	int status;
	if (child < 0 || waitpid(child, &status, 0) < 0 || status != 0)
		die(EXIT_STDOUT, "cannot start the process that passes the output on");
	for (int i = 0; i < STREAMS; i++) {
		if (dup2(ends[i][1], i + 1) < 0)
			die(EXIT_STDOUT, "cannot take the pipe for the output");
		close(ends[i][0]);
		close(ends[i][1]);
	}
	close(lock);
}
