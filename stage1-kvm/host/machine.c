#define _GNU_SOURCE
#include "machine.h"

#include "clock.h"
#include "notify.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

/* After the guest was asked to end: systemd kills a service after 90 s, and the rest of the way down takes a moment. */
#define GRACE_MS (100 * 1000)
/* There is nobody to ask any more: as long as a guest that is about to end anyway may take. */
#define UNHEARD_GRACE_MS (5 * 1000)
#define HELPER_GRACE_MS 500

void ask_to_end(struct machine *machine)
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

void end_machine(struct machine *machine)
{
	machine->hypervisor_ended = true;
	if (machine->hypervisor > 0)
		kill(machine->hypervisor, SIGKILL);
	if (machine->helper > 0)
		kill(machine->helper, SIGKILL);
}

void lose_streams(struct machine *machine)
{
	if (machine->attached <= 0)
		return;
	dprintf(2, "monitor: the streams of the app are lost; the pod is ended\n");
	end_machine(machine);
}

/* The second is what an init of ours says of its program. */
static bool is_killed(int status)
{
	return (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) ||
	       (WIFEXITED(status) && WEXITSTATUS(status) == 128 + SIGKILL);
}

/*
 * Without its helper a guest could only wait for ever; but a helper also ends because the hypervisor does, and may be seen
 * first.
 */
bool reap(struct machine *machine)
{
	pid_t pid;
	int status;
	bool gone = false;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == machine->hypervisor) {
			machine->hypervisor = 0;
			machine->hypervisor_killed = is_killed(status) && !machine->hypervisor_ended;
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
