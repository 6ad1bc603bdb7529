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
	bool used;
	/* Its descriptor is -1 once the client has gone. */
	struct stream client;
	/* The guest was told to start the command. */
	bool started;
	/* The guest has said that the command has ended; only then its number is used again. */
	bool over;
	/* The client was told how it ended, and is heard no more. */
	bool told;
	/* It is the monitor's own program, which needs no word at the end of the machine. */
	bool adopted;
	/* Bytes of output that the guest may still send. */
	uint32_t credit;
};

struct sessions {
	int listener;
	/* Made for the first client that gets the number, and kept; NULL before. */
	struct session *all[SESSIONS];
};

/* Makes the control socket in the working directory, for root only. `sessions` is zero. */
void sessions_init(struct sessions *sessions);
/* The first client, before there is any other: the other end of the connection is ours. */
void sessions_adopt(struct sessions *sessions, int fd);
/* Fills in what to wait for and gives the number of entries, at most SESSIONS + 1. `room`: the channel takes data. */
size_t sessions_poll(struct sessions *sessions, struct pollfd *fds, bool room);
/* Does what the entries ask for; frames of clients go to the channel. NULL when it is closed for good. */
void sessions_serve(struct sessions *sessions, const struct pollfd *fds, size_t count, struct stream *channel);
/* A frame from the guest. False when no guest that keeps to the protocol sends it. */
bool sessions_take(struct sessions *sessions, const struct frame *frame, struct stream *channel);
/* What was started in the guest is gone: every client that waits for it is told why, but not our own. */
void sessions_fail(struct sessions *sessions, const char *why);
/* There is no guest any more. */
void sessions_end(struct sessions *sessions);

#endif
