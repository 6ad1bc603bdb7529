#define _GNU_SOURCE
#include "control-channel.h"

#include "mconsole.h"
#include "notify.h"

#include <stdio.h>

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

/* Once, whatever the guest says. */
static void give_back_memory(struct machine *machine)
{
	if (machine->mconsole)
		mconsole_give_back(machine->hypervisor, machine->mconsole);
	machine->mconsole = NULL;
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
	if (frame->type == FRAME_SETTLED && frame->length == 0) {
		give_back_memory(machine);
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

void channel_take_agent(struct machine *machine, int fd)
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

void channel_serve(struct machine *machine, short events)
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

void channel_poll(const struct machine *machine, struct pollfd *fd)
{
	bool writes = machine->room > 0 && machine->channel.out_size > 0;

	*fd = (struct pollfd){
		.fd = machine->channel_open ? machine->channel.fd : -1,
		.events = (short)(POLLIN | (writes ? POLLOUT : 0)),
	};
}
