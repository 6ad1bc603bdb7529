#ifndef RKT_CHANNEL_H
#define RKT_CHANNEL_H

/*
 * Opens the agent's end of the control channel, which does not block; -1 with errno. `name` is a terminal device,
 * virtio:NAME for the port of that name, vsock:FILE for the host's socket that the file names, or fd:NUMBER for an open
 * descriptor.
 */
int open_channel(const char *name);

#endif
