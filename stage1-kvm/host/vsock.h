/*
 * The control channel by way of vsock(7), for a hypervisor that gives its guest nothing else: the agent connects to us. Who
 * has another address than our guest, or does not know the key that only the agent can read, is not heard.
 */
#ifndef RKT_VSOCK_H
#define RKT_VSOCK_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

#define VSOCK_POLLS 2
#define VSOCK_KEY 32

struct vsock {
	/* -1 when the channel is another. */
	int listener;
	/* Of the guest. */
	unsigned int cid;
	char key[VSOCK_KEY + 1];
	/* Somebody of the guest who has not shown the whole key yet; -1 for nobody. */
	int caller;
	char shown[VSOCK_KEY];
	size_t shown_size;
};

/* Listens for the guest `cid`, and tells its agent where and by which key in `file`, which is made. False with errno. */
bool vsock_open(struct vsock *vsock, unsigned int cid, const char *file);
/* Fills in VSOCK_POLLS entries. */
void vsock_poll(const struct vsock *vsock, struct pollfd *fds);
/* Does what the entries ask for. Gives the connection of an agent that has shown the key, which does not block, or -1. */
int vsock_serve(struct vsock *vsock, const struct pollfd *fds);

#endif
