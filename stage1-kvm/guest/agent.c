/*
 * agent CHANNEL: the host's arm in the guest. It says when all apps were started, gives up memory that only the start needed,
 * begins the way down when it is told to, runs commands in apps, and carries the streams of an interactive app, whose last byte it waits for when it is to
 * end. CHANNEL is what channel.h says.
 */
#define _GNU_SOURCE
#include "channel.h"
#include "clock.h"
#include "commands.h"
#include "frames.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define READY_LINK "/rkt/supervisor-status"
/* inotify(7) sees nothing on some shared file systems. */
#define READY_POLL_MS 100
#define ROOM_POLL_MS 5
/* After the start of the apps: by then they have read what they need all the time. */
#define SETTLE_MS 2000
/* A serial line has no flow control: what its buffer of 4096 bytes cannot hold is lost. */
#define SERIAL_WINDOW 2048

static void die(const char *what)
{
	dprintf(2, "rkt: agent: %s: %s\n", what, strerror(errno));
	exit(1);
}

static bool is_ready(void)
{
	char target[8];

	return readlink(READY_LINK, target, sizeof target) == 5 && !memcmp(target, "ready", 5);
}

static int watch_signals(void)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void take_frames(struct stream *channel, bool serial)
{
	size_t before = channel->in_size - channel->in_taken;
	struct frame frame;
	int taken;

	if (!stream_fill(channel))
		die("read");
	if (serial && channel->in_size > before)
		stream_send_number(channel, 0, FRAME_TAKEN, (uint32_t)(channel->in_size - before));
	while ((taken = stream_next(channel, &frame)) > 0) {
		if (frame.type == FRAME_SHUTDOWN)
			/* systemd starts halt.target for this signal, systemd(1). */
			kill(1, SIGRTMIN + 3);
		else
			commands_take(&frame, channel);
	}
	if (taken < 0) {
		errno = EPROTO;
		die("channel");
	}
}

/* A kernel that would print a panic calls its own orderly end an emergency as well, proc_sys_kernel(5). */
static void hush_kernel(void)
{
	char level = '\0';
	int fd = open("/proc/sys/kernel/printk", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return;
	if (read(fd, &level, 1) == 1 && level == '1' && pwrite(fd, "0", 1, 0) < 0)
		dprintf(2, "rkt: agent: /proc/sys/kernel/printk: %s\n", strerror(errno));
	close(fd);
}

/*
 * What the kernel keeps of files that were read only to start is more than all that runs; the host gets it. Dropped is what
 * is on the disk too and nobody has mapped, proc_sys_vm(5).
 */
static void drop_caches(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, "1", 1) < 0)
		dprintf(2, "rkt: agent: /proc/sys/vm/drop_caches: %s\n", strerror(errno));
	close(fd);
}

/* Of the start. */
struct progress {
	bool ready;
	/* When the memory that it took is to be given up; 0 once that is done. */
	int64_t settles;
};

static void report_progress(struct progress *progress, struct stream *channel)
{
	if (!progress->ready && is_ready()) {
		progress->ready = stream_send(channel, 0, FRAME_READY, NULL, 0);
		progress->settles = now() + SETTLE_MS;
	}
	if (progress->settles == 0 || now() < progress->settles)
		return;
	drop_caches();
	if (stream_send(channel, 0, FRAME_SETTLED, NULL, 0))
		progress->settles = 0;
}

/* Milliseconds until there is something to do unasked; -1 for never. */
static int patience(const struct progress *progress, const struct stream *channel)
{
	/* The serial line of User-Mode Linux does not always say that there is room again. */
	if (channel->out_size > 0)
		return ROOM_POLL_MS;
	if (!progress->ready)
		return READY_POLL_MS;
	int64_t left = progress->settles - now();
	return progress->settles == 0 ? -1 : left < 0 ? 0 : (int)left;
}

int main(int argc, char **argv)
{
	static struct stream channel;
	struct signalfd_siginfo info;
	struct progress progress = { .ready = false };
	bool ending = false;

	if (argc != 2) {
		dprintf(2, "usage: agent CHANNEL\n");
		return 1;
	}
	signal(SIGPIPE, SIG_IGN);
	int signals = watch_signals();
	stream_init(&channel, open_channel(argv[1]));
	if (channel.fd < 0)
		die(argv[1]);
	bool serial = isatty(channel.fd);
	stream_send_number(&channel, 0, FRAME_HELLO, serial ? SERIAL_WINDOW : 0);
	for (;;) {
		struct pollfd fds[2 + COMMAND_POLLS] = {
			{ .fd = channel.fd, .events = (short)(POLLIN | (channel.out_size > 0 ? POLLOUT : 0)) },
			{ .fd = signals, .events = POLLIN },
		};
		size_t count = commands_poll(fds + 2, stream_has_room(&channel));

		report_progress(&progress, &channel);
		if (!stream_flush(&channel))
			die("write");
		if (poll(fds, 2 + count, patience(&progress, &channel)) < 0 && errno != EINTR)
			die("poll");
		if (fds[0].revents & (POLLIN | POLLHUP | POLLERR))
			take_frames(&channel, serial);
		while (read(signals, &info, sizeof info) == (ssize_t)sizeof info)
			ending = ending || info.ssi_signo == SIGTERM;
		commands_serve(&channel);
		if (ending && commands_drained()) {
			hush_kernel();
			return 0;
		}
	}
}
