#define _GNU_SOURCE
#include "commands.h"
#include "find-app.h"
#include "notify.h"
#include "streams.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define HELPER "/rkt/enter-helper"
#define FILTERS "/rkt/seccomp"
#define PROBE "/rkt/probe"
#define CHUNK 8192u
#define WORDS 4096u
#define NOT_OURS ((pid_t)-1)
/* "terminal" or "pipes" when the host is joined to the streams of the app. */
#define STREAMS_VARIABLE "RKT_STREAMS"

struct command {
	/* 0 for none. */
	uint16_t session;
	/* NOT_OURS for the app itself, which systemd waits for. */
	pid_t pid;
	int wait_status;
	/* With a terminal all three are its master. */
	bool terminal;
	int in, out, err;
	uint32_t credit;
	/* What the command has not read yet. */
	unsigned char *pending;
	size_t pending_size;
	bool at_end;
};

static struct command all[COMMANDS];

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void forget(struct command *command)
{
	close_fd(&command->in);
	close_fd(&command->out);
	close_fd(&command->err);
	free(command->pending);
	memset(command, 0, sizeof *command);
}

static void fail(struct stream *channel, uint16_t session, const char *text)
{
	stream_send(channel, session, FRAME_FAILED, text, strlen(text));
}

/* What FRAME_START asks for. */
struct request {
	const char *app;
	/* "tty", "pipe", or "probe": pipes, and the probe of the isolation with the words as its arguments. */
	const char *kind;
	const char *terminal_name;
	char **words;
	size_t count;
};

/* Becomes the helper that also nspawn's enter uses: it takes on what confines the app. */
static void become_helper(const struct request *request)
{
	const char *app = request->app;
	char target[32], spec[32], program[32], filters[32], bounding[64], root[32], cgroup[320], term[128], path[320];
	char *argv[WORDS + 16];
	size_t n = 0;
	pid_t main_process = find_app_process(app);

	snprintf(path, sizeof path, "/rkt/spec/%s", app);
	snprintf(spec, sizeof spec, "--spec=%d", open(path, O_RDONLY | O_NOFOLLOW));
	snprintf(filters, sizeof filters, "--filters=%d", open(FILTERS, O_RDONLY | O_DIRECTORY));
	snprintf(target, sizeof target, "--target=%d", main_process > 0 ? main_process : 1);
	snprintf(bounding, sizeof bounding, "--bounding=%s", bounding_set());
	snprintf(root, sizeof root, "--build-root=%d", main_process > 0 ? 0 : 1);
	snprintf(cgroup, sizeof cgroup, "--cgroup=" APP_CGROUPS "/%s.service/cgroup.procs", app);
	snprintf(term, sizeof term, "TERM=%s", request->terminal_name);
	argv[n++] = HELPER;
	argv[n++] = target;
	argv[n++] = spec;
	argv[n++] = filters;
	argv[n++] = bounding;
	argv[n++] = root;
	if (access(cgroup + 9, F_OK) == 0)
		argv[n++] = cgroup;
	if (!strcmp(request->kind, "probe")) {
		snprintf(program, sizeof program, "--program=%d", open(PROBE, O_RDONLY | O_NOFOLLOW));
		argv[n++] = program;
		argv[n++] = "--";
		argv[n++] = "probe";
		argv[n++] = "--own-kernel";
	} else {
		argv[n++] = "--";
	}
	for (size_t i = 0; i < request->count; i++)
		argv[n++] = request->words[i];
	argv[n] = NULL;
	char *environment[] = { term, NULL };
	execve(HELPER, argv, environment);
	dprintf(2, "rkt: %s: %s\n", HELPER, strerror(errno));
	_exit(254);
}

static void child(const struct request *request, const int ends[3])
{
	sigset_t none;

	for (int i = 0; i < 3; i++)
		dup2(ends[i], i);
	for (int i = 0; i < 3; i++)
		if (ends[i] > 2)
			close(ends[i]);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL);
	setsid();
	if (isatty(0))
		ioctl(0, TIOCSCTTY, 0);
	become_helper(request);
}

static bool open_ends(struct command *command, int ends[3])
{
	if (command->terminal) {
		struct winsize size = { .ws_row = 24, .ws_col = 80 };
		if (openpty(&command->in, &ends[0], NULL, NULL, &size) < 0)
			return false;
		fcntl(command->in, F_SETFD, FD_CLOEXEC);
		command->out = fcntl(command->in, F_DUPFD_CLOEXEC, 3);
		ends[1] = fcntl(ends[0], F_DUPFD_CLOEXEC, 3);
		ends[2] = fcntl(ends[0], F_DUPFD_CLOEXEC, 3);
		if (command->out < 0 || ends[1] < 0 || ends[2] < 0)
			return false;
	} else {
		int *own[3] = { &command->in, &command->out, &command->err };
		for (int i = 0; i < 3; i++) {
			int both[2];
			if (pipe2(both, O_CLOEXEC) < 0)
				return false;
			/* Of its input the command has the end to read. */
			ends[i] = both[i == 0 ? 0 : 1];
			*own[i] = both[i == 0 ? 1 : 0];
		}
	}
	for (int *fd = &command->in; fd <= &command->err; fd++)
		if (*fd >= 0)
			fcntl(*fd, F_SETFL, O_NONBLOCK);
	return true;
}

/* Strings that end in NUL: the app, the kind, the name of the terminal, then the words of the command. */
static void start(const struct frame *frame, struct stream *channel)
{
	static char text[PAYLOAD_LIMIT + 1];
	char *words[WORDS];
	size_t count = 0;
	struct command *command = NULL;
	int ends[3] = { -1, -1, -1 };

	memcpy(text, frame->payload, frame->length);
	if (frame->length == 0 || text[frame->length - 1] != '\0')
		return fail(channel, frame->session, "the request is cut off");
	for (char *word = text; word < text + frame->length && count < WORDS; word += strlen(word) + 1)
		words[count++] = word;
	if (count < 4 || count == WORDS || !is_app_name(words[0]))
		return fail(channel, frame->session, "the request is malformed");
	for (size_t i = 0; i < COMMANDS && !command; i++)
		if (all[i].session == 0)
			command = &all[i];
	if (!command)
		return fail(channel, frame->session, "too many commands at once in this pod");
	*command = (struct command){ .in = -1, .out = -1, .err = -1, .credit = CREDIT };
	const struct request request = { words[0], words[1], words[2], words + 3, count - 3 };
	command->terminal = !strcmp(request.kind, "tty");
	command->pid = open_ends(command, ends) ? fork() : -1;
	int error = errno;
	if (command->pid == 0)
		child(&request, ends);
	for (int i = 0; i < 3; i++)
		close_fd(&ends[i]);
	if (command->pid < 0) {
		forget(command);
		return fail(channel, frame->session, strerror(error));
	}
	command->session = frame->session;
	stream_send_number(channel, command->session, FRAME_STDIN_CREDIT, CREDIT);
}

static void resize(const struct command *command, const struct frame *frame)
{
	struct winsize size = {
		.ws_row = (unsigned short)(frame_number(frame) & 0xffff),
		.ws_col = (unsigned short)(frame_number(frame) >> 16),
	};

	if (frame->length == 4 && command->terminal && command->out >= 0)
		ioctl(command->out, TIOCSWINSZ, &size);
}

/* The app is not started before: its unit waits for this service to be ready. */
static void attach(const struct frame *frame, struct stream *channel)
{
	const char *streams = getenv(STREAMS_VARIABLE);
	struct command *command = &all[0];
	int ends[3] = { -1, -1, -1 };

	if (!streams || command->session != 0 || frame->length != 4)
		return fail(channel, frame->session, "the streams of the app are not to be had");
	*command = (struct command){ .in = -1, .out = -1, .err = -1, .credit = CREDIT, .pid = NOT_OURS };
	command->terminal = !strcmp(streams, "terminal");
	bool offered = open_ends(command, ends);
	resize(command, frame);
	offered = offered && streams_offer(command->terminal, ends);
	int error = errno;
	for (int i = 0; i < 3; i++)
		close_fd(&ends[i]);
	if (!offered) {
		forget(command);
		return fail(channel, frame->session, strerror(error));
	}
	command->session = frame->session;
	stream_send_number(channel, command->session, FRAME_STDIN_CREDIT, CREDIT);
	notify_open();
	notify("READY=1");
}

static void queue_input(struct command *command, const struct frame *frame)
{
	if (command->pending_size + frame->length > CREDIT || command->in < 0)
		return;
	unsigned char *pending = realloc(command->pending, command->pending_size + frame->length);
	if (!pending)
		return;
	memcpy(pending + command->pending_size, frame->payload, frame->length);
	command->pending = pending;
	command->pending_size += frame->length;
}

static void send_signal(const struct command *command, int signal)
{
	if (signal > 0 && signal < NSIG && command->pid > 0)
		kill(command->pid, signal);
}

void commands_take(const struct frame *frame, struct stream *channel)
{
	struct command *command = NULL;

	if (frame->session == 0)
		return;
	for (size_t i = 0; i < COMMANDS; i++)
		if (all[i].session == frame->session)
			command = &all[i];
	if (frame->type == FRAME_START && !command)
		start(frame, channel);
	else if (frame->type == FRAME_ATTACH && !command)
		attach(frame, channel);
	else if (!command)
		return;
	else if (frame->type == FRAME_STDIN)
		queue_input(command, frame);
	else if (frame->type == FRAME_STDIN_EOF)
		command->at_end = true;
	else if (frame->type == FRAME_SIGNAL && frame->length == 1)
		send_signal(command, frame->payload[0]);
	else if (frame->type == FRAME_STDOUT_CREDIT && frame->length == 4)
		command->credit += frame_number(frame);
	else if (frame->type == FRAME_WINDOW_SIZE)
		resize(command, frame);
	else if (frame->type == FRAME_OUTPUT_CLOSED && frame->length == 1 && !command->terminal)
		/* Who writes there gets SIGPIPE, as with a descriptor of the host's. */
		close_fd(frame->payload[0] == 1 ? &command->out : &command->err);
}

size_t commands_poll(struct pollfd *fds, bool room)
{
	size_t count = 0;

	for (struct command *c = all; c < all + COMMANDS; c++) {
		if (c->session == 0)
			continue;
		if (c->in >= 0 && c->pending_size > 0)
			fds[count++] = (struct pollfd){ .fd = c->in, .events = POLLOUT };
		if (room && c->out >= 0 && c->credit > 0)
			fds[count++] = (struct pollfd){ .fd = c->out, .events = POLLIN };
		if (room && c->err >= 0 && c->credit > 0)
			fds[count++] = (struct pollfd){ .fd = c->err, .events = POLLIN };
	}
	return count;
}

static void feed(struct command *command, struct stream *channel)
{
	while (command->in >= 0 && command->pending_size > 0) {
		ssize_t n = write(command->in, command->pending, command->pending_size);
		if (n < 0 && errno == EAGAIN)
			return;
		/* Who does not read any more gets nothing; the host may go on. */
		size_t gone = n < 0 ? command->pending_size : (size_t)n;
		command->pending_size -= gone;
		memmove(command->pending, command->pending + gone, command->pending_size);
		stream_send_number(channel, command->session, FRAME_STDIN_CREDIT, (uint32_t)gone);
	}
	if (command->at_end && command->pending_size == 0 && command->in >= 0) {
		/* A terminal knows the end of input as a character. */
		if (command->terminal && write(command->in, "\004", 1) < 0 && errno == EAGAIN)
			return;
		close_fd(&command->in);
	}
}

/* True when there may be more. */
static bool drain(struct command *command, int *fd, uint8_t type, struct stream *channel)
{
	unsigned char data[CHUNK];

	while (*fd >= 0 && command->credit > 0) {
		size_t most = command->credit < sizeof data ? command->credit : sizeof data;
		/* The credits of all sessions together fit into the queue only while the host reads. */
		if (!stream_has_room(channel))
			return true;
		ssize_t n = read(*fd, data, most);
		if (n < 0 && errno == EAGAIN)
			return false;
		if (n <= 0) {
			close_fd(fd);
			return false;
		}
		command->credit -= (uint32_t)n;
		stream_send(channel, command->session, type, data, (size_t)n);
		if (!stream_flush(channel))
			return false;
	}
	return *fd >= 0;
}

static bool has_output(int fd)
{
	struct pollfd wait = { .fd = fd, .events = POLLIN };

	return fd >= 0 && poll(&wait, 1, 0) > 0 && wait.revents & POLLIN;
}

bool commands_drained(void)
{
	for (const struct command *c = all; c < all + COMMANDS; c++)
		if (c->session != 0 && c->pid == NOT_OURS)
			return c->credit == CREDIT && !has_output(c->out) && !has_output(c->err);
	return true;
}

void commands_serve(struct stream *channel)
{
	for (struct command *c = all; c < all + COMMANDS; c++) {
		if (c->session == 0)
			continue;
		/* Looked at first: what it has written before its end is there then. */
		if (c->pid > 0 && waitpid(c->pid, &c->wait_status, WNOHANG) == c->pid)
			c->pid = 0;
		feed(c, channel);
		bool more = drain(c, &c->out, FRAME_STDOUT, channel);
		more = drain(c, &c->err, FRAME_STDERR, channel) || more;
		if (c->pid != 0 || more)
			continue;
		bool killed = WIFSIGNALED(c->wait_status);
		const unsigned char ending[2] = {
			killed, (unsigned char)(killed ? WTERMSIG(c->wait_status) : WEXITSTATUS(c->wait_status)),
		};
		if (stream_send(channel, c->session, FRAME_EXITED, ending, sizeof ending))
			forget(c);
	}
}
