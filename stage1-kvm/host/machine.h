/* The running machine: its programs, the way to its agent, and what is being waited for. */
#ifndef RKT_MACHINE_H
#define RKT_MACHINE_H

#include "frames.h"
#include "messages.h"
#include "qmp.h"
#include "sessions.h"
#include "vsock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

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
	/* Where User-Mode Linux listens, mconsole.h; NULL when it is not that, or has been asked already. */
	const char *mconsole;
	bool helper_ended;
	/* The hypervisor was told to end at once. */
	bool hypervisor_ended;
	/* Somebody else killed the hypervisor. */
	bool hypervisor_killed;
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

/* Asks the guest, the first time. */
void ask_to_end(struct machine *machine);
void end_machine(struct machine *machine);
/* An interactive app that nobody hears is of no use. */
void lose_streams(struct machine *machine);
/* Takes notice of the programs that have ended. Gives true once the hypervisor is gone. */
bool reap(struct machine *machine);

#endif
