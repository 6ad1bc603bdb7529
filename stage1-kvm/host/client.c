/*
 * enter --app=APP [--wait=SECONDS] [--probe] -- COMMAND...: has the agent in the guest run a command in an app, with this program's
 * descriptors and its terminal if it has one, and ends as the command does, or when the agent is silent for so long. The working directory is the pod's, whose control socket
 * leads to the monitor. With --probe the agent runs stage1's probe of the isolation with the words as arguments. Nothing that the guest sends is anything but text for descriptor 1 and 2, or a number.
 *
 * attach --attach: joins the same to the streams of the pod's only app; started by the monitor, with the connection as
 * descriptor 3. How the app ends is for the monitor to say.
 */
#define _GNU_SOURCE
#include "clock.h"
#include "frames.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
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
#define CONNECTION_FD 3
/* As in systemd-nspawn(1): typed three times within a second it ends the pod. */
#define ESCAPE 0x1d
#define ESCAPES 3
#define ESCAPE_MS 1000
#define NOT_TAKEN "the virtual machine does not take what it is sent"
#define MALFORMED "the answer of the virtual machine is malformed"

static struct termios saved_modes;
static bool is_raw;
static bool attached;
/* Somebody takes the output of descriptor 1 and 2. */
static bool is_taken[3] = { false, true, true };

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
	return fd;
}

static void send_or_give_up(struct stream *stream, uint8_t type, const void *payload, size_t length)
{
	if (!stream_send(stream, 0, type, payload, length))
		give_up(NOT_TAKEN);
}

static void send_start(struct stream *stream, const char *app, const char *kind, char **words)
{
	char text[PAYLOAD_LIMIT];
	const char *name = getenv("TERM");
	const char *first[] = { app, kind, name ? name : "vt100" };
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

/* Of no terminal it is 0. */
static void send_window_size(struct stream *stream, uint8_t type)
{
	struct winsize size = { .ws_row = 0 };

	ioctl(0, TIOCGWINSZ, &size);
	const unsigned char payload[4] = {
		(unsigned char)size.ws_row, (unsigned char)(size.ws_row >> 8),
		(unsigned char)size.ws_col, (unsigned char)(size.ws_col >> 8),
	};
	send_or_give_up(stream, type, payload, sizeof payload);
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

/* The monitor has gone, and with it whoever could end a program that waits for its output to be taken. */
static void end_with_monitor(short events)
{
	if (!(events & (POLLHUP | POLLERR)))
		return;
	restore_terminal();
	exit(FAILED);
}

/* False when nobody takes it. */
static bool write_all(int fd, const unsigned char *data, size_t size, int connection)
{
	while (size > 0) {
		struct pollfd wait[] = { { .fd = fd, .events = POLLOUT }, { .fd = connection } };
		if (poll(wait, 2, -1) < 0)
			continue;
		if (!wait[0].revents)
			end_with_monitor(wait[1].revents);
		/* So much a pipe with room takes without a wait. */
		ssize_t n = wait[0].revents ? write(fd, data, size < PIPE_BUF ? size : PIPE_BUF) : 0;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return false;
		data += n > 0 ? n : 0;
		size -= n > 0 ? (size_t)n : 0;
	}
	return true;
}

static void take_output(int fd, const struct frame *frame, struct stream *stream)
{
	const unsigned char number = (unsigned char)fd;

	if (is_taken[fd] && !write_all(fd, frame->payload, frame->length, stream->fd)) {
		is_taken[fd] = false;
		send_or_give_up(stream, FRAME_OUTPUT_CLOSED, &number, 1);
	}
	if (!stream_send_number(stream, 0, FRAME_STDOUT_CREDIT, frame->length))
		give_up(NOT_TAKEN);
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
		take_output(frame->type == FRAME_STDOUT ? 1 : 2, frame, stream);
	} else if (frame->type == FRAME_EXITED && attached) {
		give_up(MALFORMED);
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

/* The pod ends with this program. */
static void look_for_escape(const unsigned char *data, size_t size)
{
	static int64_t first;
	static int count;

	for (size_t i = 0; i < size; i++) {
		if (data[i] != ESCAPE || (count > 0 && now() - first > ESCAPE_MS))
			count = 0;
		if (data[i] == ESCAPE && count++ == 0)
			first = now();
		if (count == ESCAPES)
			give_up("ended by Ctrl-] three times");
	}
}

static void take_input(struct stream *stream, uint32_t *credit, bool *open_input)
{
	unsigned char data[CHUNK];
	ssize_t n = read(0, data, *credit < sizeof data ? *credit : sizeof data);

	if (n > 0) {
		if (attached && is_raw)
			look_for_escape(data, (size_t)n);
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
	/* Whoever outlives the monitor may restore a terminal that is somebody else's already. */
	signal(SIGTTOU, SIG_IGN);
	return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Those that come to an attached program are for the monitor, which has them too. */
static void pass_signals(int fd, struct stream *stream)
{
	struct signalfd_siginfo info;

	while (read(fd, &info, sizeof info) == (ssize_t)sizeof info) {
		const unsigned char number = (unsigned char)info.ssi_signo;
		if (info.ssi_signo == SIGWINCH && isatty(0))
			send_window_size(stream, FRAME_WINDOW_SIZE);
		else if (!attached)
			send_or_give_up(stream, FRAME_SIGNAL, &number, 1);
	}
}

struct options {
	const char *app;
	/* Until the agent has said something; 0 for any time. */
	int wait_seconds;
	bool probe;
	char **command;
};

static struct options read_options(int argc, char **argv)
{
	struct options options = { .app = NULL };
	int i = 1;

	attached = argc == 2 && !strcmp(argv[1], "--attach");
	if (attached)
		return options;
	for (; i < argc && strcmp(argv[i], "--"); i++) {
		if (!strncmp(argv[i], "--app=", 6))
			options.app = argv[i] + 6;
		else if (!strncmp(argv[i], "--wait=", 7))
			options.wait_seconds = atoi(argv[i] + 7);
		else if (!strcmp(argv[i], "--probe"))
			options.probe = true;
		else
			break;
	}
	if (!options.app || i + 1 >= argc || strcmp(argv[i], "--"))
		give_up("usage: enter --app=APP [--wait=SECONDS] [--probe] -- COMMAND...");
	options.command = argv + i + 1;
	return options;
}

/* Milliseconds for poll; gives up when there are none left. */
static int time_left(int64_t deadline)
{
	if (deadline == 0)
		return -1;
	int64_t left = deadline - now();
	if (left <= 0)
		give_up("the virtual machine does not answer; rkt status shows whether it has started");
	return (int)left;
}

int main(int argc, char **argv)
{
	static struct stream stream;
	struct frame frame;
	/* The guest says how much it takes at once. */
	uint32_t credit = 0;
	const struct options options = read_options(argc, argv);
	bool open_input = true, terminal = isatty(0) && isatty(1) && !options.probe;
	/* Of the first answer; 0 once it is there. */
	int64_t deadline = options.wait_seconds > 0 ? now() + (int64_t)options.wait_seconds * 1000 : 0;

	int signals = catch_signals();
	stream_init(&stream, attached ? CONNECTION_FD : connect_to_monitor());
	fcntl(stream.fd, F_SETFL, O_NONBLOCK);
	if (attached)
		send_window_size(&stream, FRAME_ATTACH);
	else
		send_start(&stream, options.app, options.probe ? "probe" : terminal ? "tty" : "pipe", options.command);
	if (terminal) {
		if (!attached)
			send_window_size(&stream, FRAME_WINDOW_SIZE);
		make_terminal_raw();
	}
	for (;;) {
		struct pollfd fds[] = {
			{ .fd = stream.fd, .events = (short)(POLLIN | (stream.out_size > 0 ? POLLOUT : 0)) },
			{ .fd = signals, .events = POLLIN },
			{ .fd = open_input && credit > 0 ? 0 : -1, .events = POLLIN },
		};
		int taken;

		if (poll(fds, 3, time_left(deadline)) < 0 && errno != EINTR)
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
			while ((taken = stream_next(&stream, &frame)) > 0) {
				deadline = 0;
				take_frame(&frame, &stream, &credit);
			}
		} while (!open_output && alive && taken == 0);
		if (!alive && attached) {
			restore_terminal();
			return 0;
		}
		if (!alive || taken < 0)
			give_up("the monitor of the pod has gone");
	}
}
