#define _GNU_SOURCE
#include "sessions.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Relative to the pod directory, so that no path is too long for an address. */
#define CONTROL_SOCKET "control"

void sessions_init(struct sessions *sessions)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = CONTROL_SOCKET };
	mode_t mask = umask(0077);

	memset(sessions, 0, sizeof *sessions);
	unlink(CONTROL_SOCKET);
	sessions->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (sessions->listener < 0 || bind(sessions->listener, (struct sockaddr *)&address, sizeof address) < 0 ||
	    listen(sessions->listener, SESSIONS) < 0) {
		dprintf(2, "monitor: %s: %s\n", CONTROL_SOCKET, strerror(errno));
		exit(254);
	}
	umask(mask);
}

size_t sessions_poll(struct sessions *sessions, struct pollfd *fds)
{
	size_t count = 0;

	fds[count++] = (struct pollfd){ .fd = sessions->listener, .events = POLLIN };
	for (size_t i = 0; i < SESSIONS; i++) {
		struct session *session = &sessions->all[i];
		if (session->used && !session->orphan)
			fds[count++] = (struct pollfd){
				.fd = session->client.fd,
				.events = (short)(POLLIN | (session->client.out_size > 0 ? POLLOUT : 0)),
			};
	}
	return count;
}

static void accept_client(struct sessions *sessions)
{
	int fd = accept4(sessions->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	for (size_t i = 0; i < SESSIONS; i++) {
		struct session *session = &sessions->all[i];
		if (session->used)
			continue;
		memset(session, 0, sizeof *session);
		stream_init(&session->client, fd);
		session->used = true;
		return;
	}
	struct stream client;
	stream_init(&client, fd);
	static const char full[] = "too many commands at once in this pod";
	stream_send(&client, 0, FRAME_FAILED, full, sizeof full - 1);
	stream_flush(&client);
	stream_free(&client);
}

/* The number is used again only when the guest has said that the command has ended. */
static void drop_client(struct session *session, uint16_t number, struct stream *channel)
{
	const unsigned char hangup = SIGHUP;

	stream_free(&session->client);
	if (!session->started || session->finished) {
		session->used = false;
		return;
	}
	session->orphan = true;
	stream_send(channel, number, FRAME_STDIN_EOF, NULL, 0);
	stream_send(channel, number, FRAME_SIGNAL, &hangup, 1);
}

/* False for what a client may not say. */
static bool pass_on(struct session *session, uint16_t number, const struct frame *frame, struct stream *channel)
{
	bool known = frame->type >= FRAME_START && frame->type <= FRAME_STDOUT_CREDIT && frame->type != FRAME_SHUTDOWN;

	if (!known || (frame->type == FRAME_START) == session->started)
		return false;
	session->started = true;
	return stream_send(channel, number, frame->type, frame->payload, frame->length);
}

static void serve_client(struct session *session, uint16_t number, short events, struct stream *channel)
{
	struct frame frame;
	bool alive = true;
	int taken = 0;

	if (events & POLLOUT)
		alive = stream_flush(&session->client);
	if (alive && events & (POLLIN | POLLHUP | POLLERR)) {
		alive = stream_fill(&session->client);
		while ((taken = stream_next(&session->client, &frame)) > 0)
			if (!session->finished && !pass_on(session, number, &frame, channel)) {
				taken = -1;
				break;
			}
	}
	bool done = session->finished && session->client.out_size == 0;
	if (!alive || taken < 0 || done)
		drop_client(session, number, channel);
}

void sessions_serve(struct sessions *sessions, const struct pollfd *fds, size_t count, struct stream *channel)
{
	for (size_t i = 0; i < SESSIONS; i++) {
		struct session *session = &sessions->all[i];
		for (size_t j = 1; j < count && session->used && !session->orphan; j++)
			if (fds[j].fd == session->client.fd && fds[j].revents)
				serve_client(session, (uint16_t)(i + 1), fds[j].revents, channel);
	}
	/* Last, because a new client may have the descriptor of one that has just gone. */
	if (fds[0].revents)
		accept_client(sessions);
}

bool sessions_take(struct sessions *sessions, const struct frame *frame)
{
	size_t index = (size_t)frame->session - 1;

	if (index >= SESSIONS || !sessions->all[index].used || !sessions->all[index].started)
		return false;
	struct session *session = &sessions->all[index];
	bool last = frame->type == FRAME_EXITED || frame->type == FRAME_FAILED;
	if (session->orphan) {
		if (last)
			session->used = false;
		return true;
	}
	if (session->finished)
		return true;
	if (!stream_send(&session->client, 0, frame->type, frame->payload, frame->length)) {
		stream_free(&session->client);
		session->orphan = true;
		return true;
	}
	stream_flush(&session->client);
	session->finished = last;
	return true;
}

void sessions_end(struct sessions *sessions)
{
	static const char gone[] = "the virtual machine has ended";

	for (size_t i = 0; i < SESSIONS; i++) {
		struct session *session = &sessions->all[i];
		if (!session->used || session->orphan)
			continue;
		if (!session->finished)
			stream_send(&session->client, 0, FRAME_FAILED, gone, sizeof gone - 1);
		stream_flush(&session->client);
		stream_free(&session->client);
		session->used = false;
	}
	close(sessions->listener);
	unlink(CONTROL_SOCKET);
}
