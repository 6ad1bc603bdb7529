/*
 * Clients that run a command in the guest: each connection to the control socket is one session of the channel. Clients
 * are root on the host; what comes from the guest is hostile, and a guest that sends more than its credit loses the
 * session.
 */
#ifndef RKT_SESSIONS_H
#define RKT_SESSIONS_H

#include "frames.h"

#include <poll.h>

#define SESSIONS 64

struct session {
	struct stream client;
	/* The client is gone, the command in the guest not yet. */
	bool orphan;
	bool used;
	bool started;
	/* To be closed once everything was written. */
	bool finished;
};

struct sessions {
	int listener;
	struct session all[SESSIONS];
};

/* Makes the control socket in the working directory, for root only. */
void sessions_init(struct sessions *sessions);
/* Fills in what to wait for and gives the number of entries, at most SESSIONS + 1. */
size_t sessions_poll(struct sessions *sessions, struct pollfd *fds);
/* Does what the entries ask for; frames of clients go to the channel. */
void sessions_serve(struct sessions *sessions, const struct pollfd *fds, size_t count, struct stream *channel);
/* A frame from the guest. False when it is for no session. */
bool sessions_take(struct sessions *sessions, const struct frame *frame);
/* There is no guest any more: every client is told. */
void sessions_end(struct sessions *sessions);

#endif
