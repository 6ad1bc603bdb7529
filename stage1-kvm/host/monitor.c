/*
 * monitor --status=FILE [--lock-fd=N] [--debug] [--trace=FILE] [--attach=CLIENT] [--helper=COUNT] [--qmp] [--init] [--boot=SECONDS]
 *         [--jail] [--user=UID] [--capabilities=MASK] [--pass=WHAT...] [--vsock=CID --channel=FILE] [--machine=NAME --root=DIRECTORY --machine-root=DIRECTORY [--scope]] -- [HELPER...] HYPERVISOR...
 *
 * The process of a pod in a virtual machine. It starts the hypervisor, and before it the helper that serves the files of
 * the guest, passes signals on as an orderly shut-down, and ends with the status that the guest has left in FILE. A guest
 * whose agent does not come within the SECONDS of --boot is ended; with --qmp one that QEMU says it has stopped is, too. With
 * --init the hypervisor is no first process: one that ends itself by a signal cannot do that as such. The
 * working directory is the pod's. The hypervisor is of the user UID, or root with no capabilities but those of MASK, which is
 * hexadecimal; with --jail it has few of the host's files, and as root those of the pod; passed.h says WHAT it gets opened. With --vsock the agent comes by that way from the guest CID, which finds in FILE where to;
 * else the control channel is descriptor 3 of the hypervisor. It holds the lock of the pod; when it dies, the kernel kills both programs. With
 * --machine it is the leader of that machine of machined, and DIRECTORY of --machine-root what machined finds there.
 */
#define _GNU_SOURCE
#include "attach.h"
#include "frames.h"
#include "jail.h"
#include "machine-root.h"
#include "machined.h"
#include "messages.h"
#include "notify.h"
#include "passed.h"
#include "privileges.h"
#include "qmp.h"
#include "sessions.h"
#include "vsock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/openat2.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FAILED 254
/* Relative to the working directory; stage1-kvm/hypervisors/hypervisor.ts. */
#define SHARE_SOCKET "virtiofs.sock"
/* After the guest was asked to end: systemd kills a service after 90 s, and the rest of the way down takes a moment. */
#define GRACE_MS (100 * 1000)
/* There is nobody to ask any more: as long as a guest that is about to end anyway may take. */
#define UNHEARD_GRACE_MS (5 * 1000)
/* A second signal means that the first was in vain, but not sooner. */
#define PATIENCE_MS (10 * 1000)
#define LONGEST_WAIT_MS (60 * 1000)
#define HELPER_GRACE_MS 500

/* Of a program on the host. */
struct rights {
	uid_t user;
	uint64_t capabilities;
	bool jail;
};

#define ALL_RIGHTS ((struct rights){ .user = 0, .capabilities = UINT64_MAX })

struct options {
	const char *status;
	/* The program that joins our streams to the app's; NULL when they are not the app's. */
	const char *attach;
	/* Gets the time of the end; NULL when the pod is not traced. */
	const char *trace;
	int lock_fd;
	int helper_count;
	bool debug;
	bool qmp;
	bool init;
	/* 0 when nobody minds how long the guest takes to start. */
	int boot_seconds;
	struct rights rights;
	const char *pass[MOST_PASSED];
	int pass_count;
	/* 0 when the channel is a descriptor. */
	unsigned int cid;
	const char *channel;
	struct registration registration;
	char **helper;
	char **hypervisor;
};

static void die(const char *what)
{
	dprintf(2, "monitor: %s: %s\n", what, strerror(errno));
	exit(FAILED);
}

static void usage(void)
{
	dprintf(2, "usage: monitor --status=FILE [--lock-fd=N] [--debug] [--trace=FILE] [--attach=CLIENT] [--helper=COUNT] [--qmp] [--init]\n"
		   "       [--boot=SECONDS] [--jail] [--user=UID] [--capabilities=MASK] [--pass=WHAT...] [--vsock=CID --channel=FILE] [--machine=NAME --root=DIRECTORY --machine-root=DIRECTORY [--scope]] -- [HELPER...] HYPERVISOR...\n");
	exit(FAILED);
}

static struct options read_options(int argc, char **argv)
{
	struct options options = { .lock_fd = -1, .rights = ALL_RIGHTS };
	int i = 1;

	for (; i < argc && strcmp(argv[i], "--"); i++) {
		if (!strncmp(argv[i], "--status=", 9))
			options.status = argv[i] + 9;
		else if (!strncmp(argv[i], "--attach=", 9))
			options.attach = argv[i] + 9;
		else if (!strncmp(argv[i], "--trace=", 8))
			options.trace = argv[i] + 8;
		else if (!strncmp(argv[i], "--lock-fd=", 10))
			options.lock_fd = atoi(argv[i] + 10);
		else if (!strncmp(argv[i], "--helper=", 9))
			options.helper_count = atoi(argv[i] + 9);
		else if (!strncmp(argv[i], "--boot=", 7))
			options.boot_seconds = atoi(argv[i] + 7);
		else if (!strcmp(argv[i], "--jail"))
			options.rights.jail = true;
		else if (!strncmp(argv[i], "--user=", 7))
			options.rights.user = (uid_t)strtoul(argv[i] + 7, NULL, 10);
		else if (!strncmp(argv[i], "--capabilities=", 15))
			options.rights.capabilities = strtoumax(argv[i] + 15, NULL, 16);
		else if (!strncmp(argv[i], "--pass=", 7) && options.pass_count < MOST_PASSED)
			options.pass[options.pass_count++] = argv[i] + 7;
		else if (!strncmp(argv[i], "--vsock=", 8))
			options.cid = (unsigned int)strtoul(argv[i] + 8, NULL, 10);
		else if (!strncmp(argv[i], "--channel=", 10))
			options.channel = argv[i] + 10;
		else if (!strcmp(argv[i], "--qmp"))
			options.qmp = true;
		else if (!strcmp(argv[i], "--init"))
			options.init = true;
		else if (!strcmp(argv[i], "--debug"))
			options.debug = true;
		else if (!strncmp(argv[i], "--machine=", 10))
			options.registration.name = argv[i] + 10;
		else if (!strncmp(argv[i], "--root=", 7))
			options.registration.root = argv[i] + 7;
		else if (!strncmp(argv[i], "--machine-root=", 15))
			options.registration.leader_root = argv[i] + 15;
		else if (!strcmp(argv[i], "--scope"))
			options.registration.scope = true;
		else
			usage();
	}
	if (!options.status || options.helper_count < 0 || i + 1 + options.helper_count >= argc)
		usage();
	if ((options.cid != 0) != (options.channel != NULL))
		usage();
	if (options.registration.name && (!options.registration.root || !options.registration.leader_root))
		usage();
	options.helper = argv + i + 1;
	options.hypervisor = options.helper + options.helper_count;
	return options;
}

/*
 * What the program prints goes to `output`, with -1 to where we print. It reads nothing: the guest's console takes no input,
 * and a hypervisor would change the modes of a terminal.
 */
static void set_streams(int output)
{
	int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (nothing < 0 || dup2(nothing, 0) < 0)
		die("/dev/null");
	if (output < 0)
		return;
	dup2(output, 1);
	dup2(output, 2);
}

/* Only the child comes back; the namespace, whose first process this is, ends with it. */
static void be_init(void)
{
	pid_t program = fork(), ended;

	if (program == 0)
		return;
	syscall(SYS_close_range, 0, ~0u, 0);
	while (program > 0 && (ended = wait(NULL)) != program && (ended > 0 || errno == EINTR))
		;
	_exit(FAILED);
}

static void execv_in_jail(char **words)
{
	char path[PATH_MAX];

	snprintf(path, sizeof path, JAIL_PROGRAMS "/%s", basename(words[0]));
	execv(path, words);
}

/*
 * The program, or with `init` its parent, is the first process of a process namespace: what it has started itself ends
 * with it, however it ends. It has a session of its own, because User-Mode Linux signals its whole group when it panics.
 */
static pid_t start(char **argv, int count, const struct passed *passed, int output, bool init, struct rights rights)
{
	char **words = calloc((size_t)count + 1, sizeof *words);
	sigset_t kept;

	if (!words)
		die("memory");
	memcpy(words, argv, (size_t)count * sizeof *words);
	pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0);
	if (pid < 0)
		die("clone");
	if (pid > 0) {
		free(words);
		return pid;
	}
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || !leave_machine_root())
		_exit(FAILED);
	const char *failed = rights.jail ? enter_jail(words[0], rights.user == 0) : NULL;
	if (failed)
		die(failed);
	if (init)
		be_init();
	setsid();
	set_streams(output);
	if (!passed_take(passed))
		die("descriptors");
	if (!drop_privileges(rights.user, rights.capabilities) || (!init && prctl(PR_SET_PDEATHSIG, SIGKILL) < 0))
		die("privileges");
	/* Sent to all processes of a unit or a terminal, these would end the guest before it can end in order. */
	sigemptyset(&kept);
	sigaddset(&kept, SIGTERM);
	sigaddset(&kept, SIGINT);
	sigaddset(&kept, SIGHUP);
	sigprocmask(SIG_SETMASK, &kept, NULL);
	signal(SIGPIPE, SIG_DFL);
	unsetenv("NOTIFY_SOCKET");
	/* QEMU looks for its files beside where it is. */
	execv(words[0], words);
	if (rights.jail)
		execv_in_jail(words);
	die(words[0]);
	return -1;
}

static int listen_for_helper(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = SHARE_SOCKET };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	unlink(SHARE_SOCKET);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 1) < 0)
		die(SHARE_SOCKET);
	return fd;
}

/* Written by the guest: no link is followed, and only one line with a number counts. */
static int read_status(const char *file)
{
	struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW, .resolve = RESOLVE_NO_SYMLINKS };
	int fd = (int)syscall(SYS_openat2, AT_FDCWD, file, &how, sizeof how);
	char text[8] = "", *end;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || read(fd, text, sizeof text - 1) <= 0)
		return -1;
	close(fd);
	long status = strtol(text, &end, 10);
	return end != text && !strcmp(end, "\n") && status >= 0 && status <= 255 ? (int)status : -1;
}

struct machine {
	pid_t helper;
	pid_t hypervisor;
	/* Of the streams; the pod ends with it. */
	pid_t attached;
	/* Its descriptor is -1 while an agent that comes by vsock is not there; what is for it waits. */
	struct stream channel;
	bool channel_open;
	struct vsock vsock;
	/* An agent listens: what was sent to nobody a terminal could answer with an echo. */
	bool agent_there;
	/* Bytes that may be on their way to the agent at once, and how many of them are free. */
	size_t window;
	size_t room;
	bool agent_ready;
	bool helper_ended;
	/* CLOCK_MONOTONIC, in milliseconds: when a hypervisor without its helper is ended; 0 while it has one. */
	int64_t helper_deadline;
	struct messages helper_messages;
	struct qmp qmp;
	struct sessions sessions;
	/* CLOCK_MONOTONIC, in milliseconds: when a guest without an agent is given up; 0 for never. */
	int64_t boot_deadline;
	/* An end was asked for. */
	bool ending;
	/* CLOCK_MONOTONIC, in milliseconds: when that was, and when it is forced. */
	int64_t asked;
	int64_t deadline;
};

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void ask_to_end(struct machine *machine)
{
	if (machine->ending)
		return;
	machine->ending = true;
	machine->asked = now();
	machine->deadline = machine->asked + (machine->channel_open ? GRACE_MS : UNHEARD_GRACE_MS);
	notify("STOPPING=1");
	/* An agent that is not there yet is told when it comes. */
	if (machine->channel_open && machine->agent_there)
		stream_send(&machine->channel, 0, FRAME_SHUTDOWN, NULL, 0);
}

static void end_machine(struct machine *machine)
{
	if (machine->hypervisor > 0)
		kill(machine->hypervisor, SIGKILL);
	if (machine->helper > 0)
		kill(machine->helper, SIGKILL);
}

/*
 * Gives true once the hypervisor is gone. Without its helper a guest could only wait for ever; but a helper also ends
 * because the hypervisor does, and may be seen first.
 */
static bool reap(struct machine *machine)
{
	pid_t pid;
	bool gone = false;

	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
		if (pid == machine->hypervisor) {
			machine->hypervisor = 0;
			gone = true;
		} else if (pid == machine->helper) {
			machine->helper = 0;
			machine->helper_deadline = now() + HELPER_GRACE_MS;
		} else if (pid == machine->attached) {
			machine->attached = 0;
			end_machine(machine);
		}
	}
	return gone;
}

static bool take_signals(struct machine *machine, int fd)
{
	struct signalfd_siginfo info;
	bool gone = false;

	while (read(fd, &info, sizeof info) == (ssize_t)sizeof info) {
		bool again = machine->ending && (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT);
		if (info.ssi_signo == SIGCHLD)
			gone = reap(machine) || gone;
		else if (again && now() - machine->asked >= PATIENCE_MS)
			end_machine(machine);
		else
			ask_to_end(machine);
	}
	return gone;
}

/* An interactive app that nobody hears is of no use. */
static void lose_streams(struct machine *machine)
{
	if (machine->attached <= 0)
		return;
	dprintf(2, "monitor: the streams of the app are lost; the pod is ended\n");
	end_machine(machine);
}

static void agent_says_hello(struct machine *machine, uint32_t window)
{
	if (machine->agent_there) {
		sessions_fail(&machine->sessions, "the agent in the virtual machine was started again");
		lose_streams(machine);
	}
	machine->agent_there = true;
	machine->boot_deadline = 0;
	machine->window = window == 0 ? SIZE_MAX : window;
	machine->room = machine->window;
	if (machine->ending)
		stream_send(&machine->channel, 0, FRAME_SHUTDOWN, NULL, 0);
}

/* False for what no guest that keeps to the protocol sends. */
static bool take_frame(struct machine *machine, const struct frame *frame)
{
	if (frame->session != 0)
		return machine->agent_there && sessions_take(&machine->sessions, frame, &machine->channel);
	if (frame->type == FRAME_HELLO && frame->length == 4) {
		agent_says_hello(machine, frame_number(frame));
		return true;
	}
	if (frame->type == FRAME_TAKEN && frame->length == 4 && frame_number(frame) <= machine->window - machine->room) {
		machine->room += frame_number(frame);
		return true;
	}
	if (frame->type != FRAME_READY || frame->length != 0 || !machine->agent_there)
		return false;
	if (!machine->agent_ready)
		notify("READY=1");
	machine->agent_ready = true;
	return true;
}

/* Another one may come by vsock, and says hello like the first. */
static void lose_agent(struct machine *machine)
{
	stream_free(&machine->channel);
	if (!machine->agent_there)
		return;
	machine->agent_there = false;
	sessions_fail(&machine->sessions, "the agent in the virtual machine has gone");
	lose_streams(machine);
}

static void take_agent(struct machine *machine, int fd)
{
	if (machine->channel.fd >= 0)
		lose_agent(machine);
	machine->channel.fd = fd;
}

static void take_frames(struct machine *machine)
{
	struct frame frame;
	bool alive = stream_fill(&machine->channel);
	int taken;

	while ((taken = stream_next(&machine->channel, &frame)) > 0)
		if (!take_frame(machine, &frame)) {
			taken = -1;
			break;
		}
	if (taken < 0) {
		dprintf(2, "monitor: the guest does not keep to the protocol; the control channel is closed\n");
		lose_streams(machine);
	}
	machine->channel_open = taken == 0 && (alive || machine->vsock.listener >= 0);
	if (!alive && machine->channel_open)
		lose_agent(machine);
}

/* Both ways; whoever waits for an answer is told when there will be none. */
static void serve_channel(struct machine *machine, short events)
{
	if (events & (POLLIN | POLLHUP | POLLERR))
		take_frames(machine);
	/* An agent that comes by vsock and has gone is found by reading. */
	if (machine->channel_open && machine->channel.fd >= 0 &&
	    !stream_flush_within(&machine->channel, &machine->room) && machine->vsock.listener < 0)
		machine->channel_open = false;
	if (!machine->channel_open)
		sessions_fail(&machine->sessions, "the control channel of the virtual machine was closed");
}

/* Ends a guest for which there is nothing to wait any more. */
static void end_lost_guest(struct machine *machine)
{
	if (qmp_says_stopped(&machine->qmp)) {
		dprintf(2, "monitor: the hypervisor cannot go on with the guest and has stopped it; the pod is ended\n");
		end_machine(machine);
	}
	if (machine->helper_deadline > 0 && now() >= machine->helper_deadline) {
		machine->helper_ended = true;
		machine->helper_deadline = 0;
		end_machine(machine);
	}
	if (machine->boot_deadline > 0 && now() >= machine->boot_deadline) {
		dprintf(2, "monitor: the guest did not start in time; the pod is ended (--debug shows its console)\n");
		machine->boot_deadline = 0;
		end_machine(machine);
	}
}

/* Milliseconds until something may be to be done unasked. */
static int time_left(const struct machine *machine)
{
	const int64_t deadlines[] = {
		machine->ending ? machine->deadline : 0,
		machine->helper_deadline,
		machine->boot_deadline,
	};
	int64_t left = LONGEST_WAIT_MS;

	for (size_t i = 0; i < sizeof deadlines / sizeof *deadlines; i++)
		if (deadlines[i] > 0 && deadlines[i] - now() < left)
			left = deadlines[i] - now();
	return left < 0 ? 0 : (int)left;
}

/* Signals, the helper's messages, QMP, the channel. */
#define FIXED_POLLS 4

static void watch(struct machine *machine, int signals)
{
	for (;;) {
		struct pollfd fds[FIXED_POLLS + VSOCK_POLLS + SESSIONS + 1] = {
			{ .fd = signals, .events = POLLIN },
			{ .fd = machine->helper_messages.fd, .events = POLLIN },
			{ .fd = machine->qmp.fd, .events = POLLIN },
			{ .fd = machine->channel_open ? machine->channel.fd : -1,
			  .events = (short)(POLLIN | (machine->room > 0 && machine->channel.out_size > 0 ? POLLOUT : 0)) },
		};
		struct pollfd *vsock = fds + FIXED_POLLS, *client = vsock + VSOCK_POLLS;
		vsock_poll(&machine->vsock, vsock);
		size_t clients = sessions_poll(&machine->sessions, client,
					       !machine->channel_open || stream_has_room(&machine->channel));
		if (poll(fds, FIXED_POLLS + VSOCK_POLLS + clients, time_left(machine)) < 0 && errno != EINTR)
			die("poll");
		if (machine->ending && now() >= machine->deadline) {
			machine->deadline = INT64_MAX;
			end_machine(machine);
		}
		messages_read(&machine->helper_messages);
		end_lost_guest(machine);
		if (fds[0].revents && take_signals(machine, signals))
			return;
		if (machine->channel_open)
			serve_channel(machine, fds[3].revents);
		int agent = vsock_serve(&machine->vsock, vsock);
		if (agent >= 0 && machine->channel_open)
			take_agent(machine, agent);
		else if (agent >= 0)
			close(agent);
		sessions_serve(&machine->sessions, client, clients, machine->channel_open ? &machine->channel : NULL);
	}
}

/* stage1/trace.ts reads it. */
static void trace_end(const char *file)
{
	int fd = open(file, O_WRONLY | O_APPEND | O_CLOEXEC);
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	if (fd >= 0)
		dprintf(fd, "machine off %lld\n", (long long)t.tv_sec * 1000000 + t.tv_nsec / 1000);
}

int main(int argc, char **argv)
{
	struct options options = read_options(argc, argv);
	static struct machine machine = {
		.channel_open = true,
		.helper_messages.fd = -1,
		.vsock = { .listener = -1, .caller = -1 },
	};
	int ends[2] = { -1, -1 }, qmp_ends[2] = { -1, -1 };
	sigset_t signals;

	if (options.lock_fd >= 0)
		fcntl(options.lock_fd, F_SETFD, FD_CLOEXEC);
	sigemptyset(&signals);
	/* The last two are how machinectl poweroff and reboot ask. */
	const int caught[] = { SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGRTMIN + 4, SIGRTMIN + 5 };
	for (size_t i = 0; i < sizeof caught / sizeof *caught; i++)
		sigaddset(&signals, caught[i]);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	/* A client may go while it is written to. */
	signal(SIGPIPE, SIG_IGN);
	int signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (options.channel && !vsock_open(&machine.vsock, options.cid, options.channel))
		die("vsock");
	if (signal_fd < 0 || (!options.channel && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) ||
	    (options.qmp && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, qmp_ends) < 0))
		die("socketpair");
	if (ends[0] >= 0)
		fcntl(ends[0], F_SETFL, O_NONBLOCK);
	stream_init(&machine.channel, ends[0]);
	sessions_init(&machine.sessions);
	notify_open();
	int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct passed served = { .count = 0 }, passed = { .count = 0 };
	if (options.helper_count > 0)
		passed_add(&served, listen_for_helper());
	passed_add(&passed, ends[1]);
	passed_add(&passed, qmp_ends[1]);
	/* While our root is still the host's. */
	for (int i = 0; i < options.pass_count; i++)
		if (!passed_open(&passed, options.pass[i], SHARE_SOCKET))
			die(options.pass[i]);
	/* Before the programs are started: machined takes only this process into the scope that it makes. */
	bool registered = options.registration.name && register_machine(&options.registration);
	if (options.attach) {
		int connection;
		machine.attached = attach_start(options.attach, options.debug ? 2 : nothing, nothing, &connection);
		if (machine.attached < 0)
			die(options.attach);
		sessions_adopt(&machine.sessions, connection);
	}
	close(nothing);
	if (options.helper_count > 0) {
		int output = options.debug ? -1 : messages_open(&machine.helper_messages);
		machine.helper = start(options.helper, options.helper_count, &served, output, false, ALL_RIGHTS);
		passed_close(&served);
		if (output >= 0)
			close(output);
	}
	int words = argc - (int)(options.hypervisor - argv);
	machine.hypervisor = start(options.hypervisor, words, &passed, -1, options.init, options.rights);
	passed_close(&passed);
	qmp_init(&machine.qmp, qmp_ends[0]);
	if (options.boot_seconds > 0)
		machine.boot_deadline = now() + (int64_t)options.boot_seconds * 1000;
	watch(&machine, signal_fd);
	sessions_end(&machine.sessions);
	end_machine(&machine);
	while (wait(NULL) > 0 || errno == EINTR)
		;
	if (registered)
		unregister_machine(&options.registration);
	if (options.trace)
		trace_end(options.trace);
	int status = read_status(options.status);
	if (status >= 0)
		return status;
	messages_read(&machine.helper_messages);
	const char *said = machine.helper_ended ? messages_last(&machine.helper_messages) : "";
	dprintf(2, "monitor: the virtual machine ended before the pod had a status%s%s%s\n",
		machine.helper_ended ? ", because the program that serves its files has ended" : "", *said ? ": " : "", said);
	return FAILED;
}
