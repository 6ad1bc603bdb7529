#define _GNU_SOURCE
#include "watch.h"

#include "clock.h"
#include "control-channel.h"
#include "failure.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* A second signal means that the first was in vain, but not sooner. */
#define PATIENCE_MS (10 * 1000)
#define LONGEST_WAIT_MS (60 * 1000)

int catch_signals(void)
{
	/* The last two are how machinectl poweroff and reboot ask. */
	const int caught[] = { SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGRTMIN + 4, SIGRTMIN + 5 };
	sigset_t signals;

	sigemptyset(&signals);
	for (size_t i = 0; i < sizeof caught / sizeof *caught; i++)
		sigaddset(&signals, caught[i]);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	/* A client may go while it is written to. */
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
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

void watch(struct machine *machine, int signals)
{
	for (;;) {
		struct pollfd fds[FIXED_POLLS + VSOCK_POLLS + SESSIONS + 1] = {
			{ .fd = signals, .events = POLLIN },
			{ .fd = machine->helper_messages.fd, .events = POLLIN },
			{ .fd = machine->qmp.fd, .events = POLLIN },
		};
		struct pollfd *vsock = fds + FIXED_POLLS, *client = vsock + VSOCK_POLLS;
		channel_poll(machine, &fds[3]);
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
			channel_serve(machine, fds[3].revents);
		int agent = vsock_serve(&machine->vsock, vsock);
		if (agent >= 0 && machine->channel_open)
			channel_take_agent(machine, agent);
		else if (agent >= 0)
			close(agent);
		sessions_serve(&machine->sessions, client, clients, machine->channel_open ? &machine->channel : NULL);
	}
}
