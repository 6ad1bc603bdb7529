/*
 * enter --app=APP -- COMMAND...: has the agent in the guest run a command in an app, with this program's descriptors and
 * its terminal if it has one, and ends as the command does. The working directory is the pod's, whose control socket
 * leads to the monitor. Nothing that the guest sends is anything but text for descriptor 1 and 2, or a number.
 */
#define _GNU_SOURCE
#include "frames.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#define CONTROL_SOCKET "control"
#define FAILED 254
#define CHUNK 8192u
#define NOT_TAKEN "the virtual machine does not take what it is sent"
#define MALFORMED "the answer of the virtual machine is malformed"

static struct termios saved_modes;
static bool is_raw;

static void restore_terminal(void)
{
	if (is_raw)
		tcsetattr(0, TCSANOW, &saved_modes);
	is_raw = false;
}

static void __attribute__((noreturn)) give_up(const char *text)
{
	restore_terminal();
	dprintf(2, "enter: %s\n", text);
	exit(FAILED);
}

static int connect_to_monitor(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = CONTROL_SOCKET };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
		give_up("the monitor of the pod does not answer");
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static void send_or_give_up(struct stream *stream, uint8_t type, const void *payload, size_t length)
{
	if (!stream_send(stream, 0, type, payload, length))
		give_up(NOT_TAKEN);
}

static void send_start(struct stream *stream, const char *app, bool terminal, char **words)
{
	char text[PAYLOAD_LIMIT];
	const char *name = getenv("TERM");
	const char *first[] = { app, terminal ? "tty" : "pipe", name ? name : "vt100" };
	size_t size = 0;

	for (size_t i = 0; i < 3 || words[i - 3]; i++) {
		const char *word = i < 3 ? first[i] : words[i - 3];
		size_t length = strlen(word) + 1;
		if (size + length > sizeof text)
			give_up("the command is too long");
		memcpy(text + size, word, length);
		size += length;
	}
	send_or_give_up(stream, FRAME_START, text, size);
}

static void send_window_size(struct stream *stream)
{
	struct winsize size;

	if (ioctl(0, TIOCGWINSZ, &size) < 0)
		return;
	const unsigned char payload[4] = {
		(unsigned char)size.ws_row, (unsigned char)(size.ws_row >> 8),
		(unsigned char)size.ws_col, (unsigned char)(size.ws_col >> 8),
	};
	send_or_give_up(stream, FRAME_WINDOW_SIZE, payload, sizeof payload);
}

static void make_terminal_raw(void)
{
	struct termios modes;

	if (tcgetattr(0, &saved_modes) < 0)
		return;
	modes = saved_modes;
	cfmakeraw(&modes);
	is_raw = tcsetattr(0, TCSANOW, &modes) == 0;
}

static void write_all(int fd, const unsigned char *data, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, data, size);
		if (n < 0 && errno == EAGAIN) {
			struct pollfd wait = { .fd = fd, .events = POLLOUT };
			poll(&wait, 1, -1);
		} else if (n < 0 && errno != EINTR) {
			restore_terminal();
			exit(FAILED);
		} else if (n > 0) {
			data += n;
			size -= (size_t)n;
		}
	}
}

/* As the command: by its signal, but without leaving a core file here. */
static void __attribute__((noreturn)) end_as(const struct frame *frame)
{
	restore_terminal();
	if (frame->length != 2 || frame->payload[0] > 1)
		give_up(MALFORMED);
	int number = frame->payload[1];
	if (frame->payload[0] == 0)
		exit(number);
	if (number < 1 || number >= NSIG)
		give_up(MALFORMED);
	/* Nothing ends by these, and they would only stop this program. */
	if (number == SIGSTOP || number == SIGTSTP || number == SIGTTIN || number == SIGTTOU)
		exit(128 + number);
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	signal(number, SIG_DFL);
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	kill(getpid(), number);
	exit(128 + number);
}

static void take_frame(const struct frame *frame, struct stream *stream, uint32_t *credit)
{
	char text[256];

	if (frame->type == FRAME_STDOUT || frame->type == FRAME_STDERR) {
		write_all(frame->type == FRAME_STDOUT ? 1 : 2, frame->payload, frame->length);
		if (!stream_send_number(stream, 0, FRAME_STDOUT_CREDIT, frame->length))
			give_up(NOT_TAKEN);
	} else if (frame->type == FRAME_EXITED) {
		end_as(frame);
	} else if (frame->type == FRAME_STDIN_CREDIT && frame->length == 4) {
		uint32_t more = frame_number(frame);
		*credit = more < CREDIT - *credit ? *credit + more : CREDIT;
	} else if (frame->type == FRAME_FAILED) {
		size_t length = frame->length < sizeof text - 1 ? frame->length : sizeof text - 1;
		memcpy(text, frame->payload, length);
		text[length] = '\0';
		/* The guest's words must not steer the terminal. */
		for (char *c = text; *c; c++)
			if ((unsigned char)*c < ' ' || (unsigned char)*c >= 127)
				*c = '?';
		give_up(text);
	}
}

static void take_input(struct stream *stream, uint32_t *credit, bool *open_input)
{
	unsigned char data[CHUNK];
	ssize_t n = read(0, data, *credit < sizeof data ? *credit : sizeof data);

	if (n > 0) {
		send_or_give_up(stream, FRAME_STDIN, data, (size_t)n);
		*credit -= (uint32_t)n;
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		send_or_give_up(stream, FRAME_STDIN_EOF, NULL, 0);
		*open_input = false;
	}
}

static int catch_signals(void)
{
	const int caught[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH };
	sigset_t signals;

	sigemptyset(&signals);
	for (size_t i = 0; i < sizeof caught / sizeof *caught; i++)
		sigaddset(&signals, caught[i]);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void pass_signals(int fd, struct stream *stream)
{
	struct signalfd_siginfo info;

	while (read(fd, &info, sizeof info) == (ssize_t)sizeof info) {
		const unsigned char number = (unsigned char)info.ssi_signo;
		if (info.ssi_signo == SIGWINCH)
			send_window_size(stream);
		else
			send_or_give_up(stream, FRAME_SIGNAL, &number, 1);
	}
}

int main(int argc, char **argv)
{
	static struct stream stream;
	struct frame frame;
	/* The guest says how much it takes at once. */
	uint32_t credit = 0;
	bool open_input = true, terminal = isatty(0) && isatty(1);

	if (argc < 4 || strncmp(argv[1], "--app=", 6) || strcmp(argv[2], "--"))
		give_up("usage: enter --app=APP -- COMMAND...");
	int signals = catch_signals();
	stream_init(&stream, connect_to_monitor());
	send_start(&stream, argv[1] + 6, terminal, argv + 3);
	if (terminal) {
		send_window_size(&stream);
		make_terminal_raw();
	}
	for (;;) {
		struct pollfd fds[] = {
			{ .fd = stream.fd, .events = (short)(POLLIN | (stream.out_size > 0 ? POLLOUT : 0)) },
			{ .fd = signals, .events = POLLIN },
			{ .fd = open_input && credit > 0 ? 0 : -1, .events = POLLIN },
		};
		int taken;

		if (poll(fds, 3, -1) < 0 && errno != EINTR)
			give_up(strerror(errno));
		if (fds[1].revents)
			pass_signals(signals, &stream);
		if (fds[2].revents)
			take_input(&stream, &credit, &open_input);
		/* Who takes nothing any more has perhaps said why. */
		bool open_output = stream_flush(&stream), alive = true;
		do {
			if (!open_output || fds[0].revents & (POLLIN | POLLHUP | POLLERR))
				alive = stream_fill(&stream);
			while ((taken = stream_next(&stream, &frame)) > 0)
				take_frame(&frame, &stream, &credit);
		} while (!open_output && alive && taken == 0);
		if (!alive || taken < 0)
			give_up("the monitor of the pod has gone");
	}
}
