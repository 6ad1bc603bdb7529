#define _GNU_SOURCE
#include "sessions.h"

#include "failure.h"

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
#define UNFINISHED_SOCKET CONTROL_SOCKET ".new"
#define CLOSED "the control channel of the virtual machine is closed"

void sessions_init(struct sessions *sessions)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = UNFINISHED_SOCKET };
	mode_t mask = umask(0177);

	unlink(UNFINISHED_SOCKET);
	sessions->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (sessions->listener < 0 || bind(sessions->listener, (struct sockaddr *)&address, sizeof address) < 0 ||
	    listen(sessions->listener, SESSIONS) < 0 ||
	    /* Whoever finds it is never refused. */
	    rename(UNFINISHED_SOCKET, CONTROL_SOCKET) < 0) {
		die(CONTROL_SOCKET);
	}
	umask(mask);
}

size_t sessions_poll(struct sessions *sessions, struct pollfd *fds, bool room)
{
	size_t count = 0;

	fds[count++] = (struct pollfd){ .fd = sessions->listener, .events = POLLIN };
	for (size_t i = 0; i < SESSIONS; i++) {
		const struct session *session = sessions->all[i];
		if (session && session->used && session->client.fd >= 0)
			fds[count++] = (struct pollfd){
				.fd = session->client.fd,
				.events = (short)((room ? POLLIN : 0) | (session->client.out_size > 0 ? POLLOUT : 0)),
			};
	}
	return count;
}

static void tell(struct session *session, const char *why)
{
	session->told = true;
	/* A client that cannot even be told sees the connection end. */
	if (stream_send(&session->client, 0, FRAME_FAILED, why, strlen(why)))
		stream_flush(&session->client);
	else
		stream_free(&session->client);
}

static void refuse(int fd, const char *why)
{
	struct session session = { .used = false };

	stream_init(&session.client, fd);
	tell(&session, why);
	stream_free(&session.client);
}

/* False without memory. */
static bool use(struct session **place, int fd)
{
	struct session *session = *place ? *place : malloc(sizeof *session);

	if (!session)
		return false;
	*place = session;
	memset(session, 0, sizeof *session);
	stream_init(&session->client, fd);
	session->used = true;
	session->credit = CREDIT;
	return true;
}

void sessions_adopt(struct sessions *sessions, int fd)
{
	if (!use(&sessions->all[0], fd))
		die("memory");
	sessions->all[0]->adopted = true;
}

static void accept_client(struct sessions *sessions, const struct stream *channel)
{
	int fd = accept4(sessions->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	if (!channel)
		return refuse(fd, CLOSED);
	for (size_t i = 0; i < SESSIONS; i++) {
		if (sessions->all[i] && sessions->all[i]->used)
			continue;
		if (!use(&sessions->all[i], fd))
			refuse(fd, "there is no memory for another command");
		return;
	}
	refuse(fd, "too many commands at once in this pod");
}

static void free_if_done(struct session *session)
{
	if (session->client.fd < 0 && (!session->started || session->over))
		session->used = false;
}

/* As a terminal that is closed. */
static void hang_up(const struct session *session, uint16_t number, struct stream *channel)
{
	const unsigned char hangup = SIGHUP;

	if (!channel || !session->started || session->over)
		return;
	stream_send(channel, number, FRAME_STDIN_EOF, NULL, 0);
	stream_send(channel, number, FRAME_SIGNAL, &hangup, 1);
}

static void drop_client(struct session *session, uint16_t number, struct stream *channel)
{
	stream_free(&session->client);
	hang_up(session, number, channel);
	free_if_done(session);
}

static void add_credit(struct session *session, const struct frame *frame)
{
	uint32_t more = frame_number(frame);

	session->credit = more < CREDIT - session->credit ? session->credit + more : CREDIT;
}

/* False for what a client may not say. */
static bool pass_on(struct session *session, uint16_t number, const struct frame *frame, struct stream *channel)
{
	bool known = frame->type >= FRAME_START && frame->type <= FRAME_OUTPUT_CLOSED && frame->type != FRAME_SHUTDOWN;
	bool first = frame->type == FRAME_START || frame->type == FRAME_ATTACH;

	if (!known || first == session->started)
		return false;
	if (frame->type == FRAME_STDOUT_CREDIT) {
		if (frame->length != 4)
			return false;
		add_credit(session, frame);
	}
	session->started = true;
	return stream_send(channel, number, frame->type, frame->payload, frame->length);
}

/* False when the client has gone or talks nonsense. */
static bool hear_client(struct session *session, uint16_t number, struct stream *channel)
{
	struct frame frame;
	int taken;

	/* Without room only the end of a client is reported, whose input nobody wants any more. */
	if ((channel && !stream_has_room(channel)) || !stream_fill(&session->client))
		return false;
	while ((taken = stream_next(&session->client, &frame)) > 0) {
		if (session->told)
			continue;
		if (!channel)
			tell(session, CLOSED);
		else if (!pass_on(session, number, &frame, channel))
			return false;
	}
	return taken == 0;
}

static void serve_client(struct session *session, uint16_t number, short events, struct stream *channel)
{
	/* Another client may have filled the channel since this one was polled. */
	bool waits = channel && !stream_has_room(channel) && !(events & (POLLHUP | POLLERR));
	bool alive = !(events & POLLOUT) || stream_flush(&session->client);

	if (alive && !waits && events & (POLLIN | POLLHUP | POLLERR))
		alive = hear_client(session, number, channel);
	if (!alive)
		drop_client(session, number, channel);
	free_if_done(session);
}

void sessions_serve(struct sessions *sessions, const struct pollfd *fds, size_t count, struct stream *channel)
{
	for (size_t i = 0; i < SESSIONS; i++) {
		struct session *session = sessions->all[i];
		for (size_t j = 1; j < count && session && session->used && session->client.fd >= 0; j++)
			if (fds[j].fd == session->client.fd && fds[j].revents)
				serve_client(session, (uint16_t)(i + 1), fds[j].revents, channel);
	}
	/* Last, because a new client may have the descriptor of one that has just gone. */
	if (fds[0].revents)
		accept_client(sessions, channel);
}

/* False when the guest has sent more output than it was allowed. */
static bool take_credit(struct session *session, const struct frame *frame)
{
	if (frame->type != FRAME_STDOUT && frame->type != FRAME_STDERR)
		return true;
	if (frame->length > session->credit)
		return false;
	session->credit -= frame->length;
	return true;
}

bool sessions_take(struct sessions *sessions, const struct frame *frame, struct stream *channel)
{
	size_t index = (size_t)frame->session - 1;
	bool last = frame->type == FRAME_EXITED || frame->type == FRAME_FAILED;
	bool known = last || frame->type == FRAME_STDOUT || frame->type == FRAME_STDERR || frame->type == FRAME_STDIN_CREDIT;

	if (!known || index >= SESSIONS)
		return false;
	struct session *session = sessions->all[index];
	if (!session || !session->used || !session->started || session->over)
		return false;
	session->over = last;
	if (session->client.fd >= 0 && !session->told) {
		if (!take_credit(session, frame) ||
		    !stream_send(&session->client, 0, frame->type, frame->payload, frame->length)) {
			dprintf(2, "monitor: the guest sent more than session %u may; the session is closed\n", frame->session);
			tell(session, "the virtual machine sent more than it may");
			hang_up(session, frame->session, channel);
		} else {
			stream_flush(&session->client);
			session->told = last;
		}
	}
	free_if_done(session);
	return true;
}

void sessions_fail(struct sessions *sessions, const char *why)
{
	for (size_t i = 0; i < SESSIONS; i++) {
		struct session *session = sessions->all[i];
		if (!session || !session->used || !session->started || session->over || session->adopted)
			continue;
		session->over = true;
		if (session->client.fd >= 0 && !session->told)
			tell(session, why);
		free_if_done(session);
	}
}

void sessions_end(struct sessions *sessions)
{
	for (size_t i = 0; i < SESSIONS; i++) {
		struct session *session = sessions->all[i];
		if (!session || !session->used || session->client.fd < 0)
			continue;
		if (!session->told && !session->adopted)
			tell(session, "the virtual machine has ended");
		stream_free(&session->client);
	}
	close(sessions->listener);
	unlink(CONTROL_SOCKET);
}
