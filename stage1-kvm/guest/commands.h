/* Commands that the host runs in apps of the pod, each a session of the channel. */
#ifndef RKT_COMMANDS_H
#define RKT_COMMANDS_H

#include "frames.h"

#include <poll.h>

#define COMMANDS 64
#define COMMAND_POLLS (COMMANDS * 3)

/* A frame from the host. */
void commands_take(const struct frame *frame, struct stream *channel);
/* Whether the host has taken everything that the app wrote to streams that were joined. */
bool commands_drained(void);
/* Fills in what to wait for and gives the number of entries. `room`: the channel takes data. */
size_t commands_poll(struct pollfd *fds, bool room);
/* Moves what can be moved, and says which commands have ended. */
void commands_serve(struct stream *channel);

#endif
