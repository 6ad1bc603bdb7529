/* What the monitor and the agent in the guest say to each other, frames.h; all that comes from there is hostile. */
#ifndef RKT_CONTROL_CHANNEL_H
#define RKT_CONTROL_CHANNEL_H

#include "machine.h"

#include <poll.h>

/* Fills in what to wait for. */
void channel_poll(const struct machine *machine, struct pollfd *fd);
/* Does what the entry asks for, both ways; whoever waits for an answer is told when there will be none. */
void channel_serve(struct machine *machine, short events);
/* An agent has come by vsock, in place of the one that there was. */
void channel_take_agent(struct machine *machine, int fd);

#endif
