#define _GNU_SOURCE
#include "terminal.h"
#include "spec.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define DEVPTS_MAGIC 0x1cd1

static struct termios saved_modes;
static int saved_fd = -1;

static void restore_modes(void)
{
	if (saved_fd >= 0)
		tcsetattr(saved_fd, TCSADRAIN, &saved_modes);
}

static void set_raw(int fd)
{
	if (tcgetattr(fd, &saved_modes) < 0)
		return;
	saved_fd = fd;
	struct termios raw = saved_modes;
	cfmakeraw(&raw);
	tcsetattr(fd, TCSADRAIN, &raw);
}

static void copy_size(int from, int to)
{
	struct winsize size;

	if (ioctl(from, TIOCGWINSZ, &size) == 0)
		ioctl(to, TIOCSWINSZ, &size);
}

/* The caller's descriptor that stands for its terminal. */
static int own_terminal(const struct terminal *terminal)
{
	for (int fd = 0; fd < 3; fd++)
		if (terminal->replaced[fd])
			return fd;
	return -1;
}

bool terminal_open(struct terminal *terminal, const char *ptmx)
{
	struct statfs fs;
	int unlocked = 0;

	for (int fd = 0; fd < 3; fd++)
		terminal->replaced[fd] = isatty(fd);
	int own = own_terminal(terminal);
	if (own < 0)
		return false;
	terminal->master = open(ptmx, O_RDWR | O_NOCTTY | O_CLOEXEC | O_NOFOLLOW);
	if (terminal->master < 0 || fstatfs(terminal->master, &fs) < 0)
		die(1, "cannot open a terminal in the pod");
	if (fs.f_type != DEVPTS_MAGIC) {
		errno = 0;
		die(1, "%s in the pod is no terminal multiplexer", ptmx);
	}
	if (ioctl(terminal->master, TIOCSPTLCK, &unlocked) < 0)
		die(1, "cannot unlock a terminal");
	terminal->slave = ioctl(terminal->master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (terminal->slave < 0)
		die(1, "cannot open the other side of a terminal");
	copy_size(own, terminal->master);
	return true;
}

void terminal_take(const struct terminal *terminal)
{
	if (setsid() < 0 || ioctl(terminal->slave, TIOCSCTTY, 0) < 0)
		die(1, "cannot take the terminal");
	for (int fd = 0; fd < 3; fd++)
		if (terminal->replaced[fd] && dup2(terminal->slave, fd) < 0)
			die(1, "cannot use the terminal");
}

/* False at the end of `from`. */
static bool copy(int from, int to)
{
	char buffer[8192];
	ssize_t n = read(from, buffer, sizeof buffer);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	for (ssize_t done = 0; done < n;) {
		ssize_t written = write(to, buffer + done, (size_t)(n - done));
		if (written < 0 && errno != EINTR && errno != EAGAIN)
			return false;
		done += written > 0 ? written : 0;
	}
	return n > 0;
}

/* True when the child has ended. */
static bool handle_signal(int signals, const struct terminal *terminal, pid_t child, int *status)
{
	struct signalfd_siginfo info;

	if (read(signals, &info, sizeof info) != sizeof info)
		return false;
	if (info.ssi_signo == SIGWINCH)
		copy_size(own_terminal(terminal), terminal->master);
	else if (info.ssi_signo == SIGCHLD)
		return waitpid(child, status, WNOHANG) == child;
	else
		kill(child, (int)info.ssi_signo);
	return false;
}

int terminal_relay(const struct terminal *terminal, pid_t child)
{
	const int relayed[] = { SIGWINCH, SIGCHLD, SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2 };
	int own = own_terminal(terminal), output = terminal->replaced[1] ? 1 : own, status = 0;
	bool running = true, input = true;
	sigset_t set;

	close(terminal->slave);
	sigemptyset(&set);
	for (size_t i = 0; i < sizeof relayed / sizeof *relayed; i++)
		sigaddset(&set, relayed[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	int signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	set_raw(own);
	atexit(restore_modes);
	/* The child may have ended before its signal was blocked. */
	if (waitpid(child, &status, WNOHANG) == child)
		running = false;
	for (;;) {
		struct pollfd fds[] = {
			{ terminal->master, POLLIN, 0 }, { signals, POLLIN, 0 }, { input ? own : -1, POLLIN, 0 },
		};
		/* What the program wrote before it ended is still there. */
		int ready = poll(fds, 3, running ? -1 : 0);
		if (ready < 0 && errno != EINTR)
			break;
		if (fds[0].revents && !copy(terminal->master, output)) {
			if (!running)
				break;
			poll(NULL, 0, 5);
		}
		if (fds[1].revents && handle_signal(signals, terminal, child, &status))
			running = false;
		if (fds[2].revents && !copy(own, terminal->master))
			input = false;
		if (!running && !fds[0].revents)
			break;
	}
	restore_modes();
	return status;
}
