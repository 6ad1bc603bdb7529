/*
 * The control channel between the monitor on the host and the agent in the guest: a stream of frames, each with a
 * header of eight bytes, little-endian: payload length (4), session (2), type (1), zero (1). The host takes everything
 * that comes from the guest for hostile: a frame that is malformed ends the channel.
 */
#ifndef RKT_FRAMES_H
#define RKT_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAYLOAD_LIMIT 32768u
/* What may wait to be written to one peer. */
#define QUEUE_LIMIT (1024u * 1024u)
/* Bytes of one session that may be on their way in each direction before the receiver says that it wants more. */
#define CREDIT 65536u

enum frame_type {
	/* From the host. */
	FRAME_START = 1,
	FRAME_STDIN = 2,
	FRAME_STDIN_EOF = 3,
	FRAME_WINDOW_SIZE = 4,
	FRAME_SIGNAL = 5,
	FRAME_SHUTDOWN = 6,
	FRAME_STDOUT_CREDIT = 7,
	/* Joins the session to the streams of the pod's only app; its window's rows (2) and columns (2). */
	FRAME_ATTACH = 8,
	/* Nobody takes output of descriptor 1 or 2 (1) any more. */
	FRAME_OUTPUT_CLOSED = 9,
	/* From the guest. */
	FRAME_STDOUT = 16,
	FRAME_STDERR = 17,
	FRAME_EXITED = 18,
	FRAME_READY = 19,
	FRAME_FAILED = 20,
	FRAME_STDIN_CREDIT = 21,
	/*
	 * The first of an agent: there is one that listens, and what was started by one before it is gone. How many bytes
	 * of the channel may be on their way to it (4); 0 for any number.
	 */
	FRAME_HELLO = 22,
	/* So many of these bytes (4) have arrived. */
	FRAME_TAKEN = 23,
	/* What was read only to start is no longer kept: much of the memory is free that was used. */
	FRAME_SETTLED = 24,
};

struct frame {
	uint32_t length;
	uint16_t session;
	uint8_t type;
	const unsigned char *payload;
};

/* One end of a stream of frames; the descriptor does not block. */
struct stream {
	int fd;
	unsigned char in[8 + PAYLOAD_LIMIT];
	size_t in_size;
	/* Bytes of `in` that the last frame had. */
	size_t in_taken;
	unsigned char *out;
	size_t out_size;
};

void stream_init(struct stream *stream, int fd);
void stream_free(struct stream *stream);
/* Reads what is there. False at the end and after an error. */
bool stream_fill(struct stream *stream);
/* Takes the next whole frame: 1, 0 when there is none yet, -1 when it is malformed. Valid until the next call. */
int stream_next(struct stream *stream, struct frame *frame);
/* Whether data may be queued; what is above is kept for frames that only say something. */
bool stream_has_room(const struct stream *stream);
/* Queues a frame. False when too much waits already. */
bool stream_send(struct stream *stream, uint16_t session, uint8_t type, const void *payload, size_t length);
/* A frame whose payload is a number of four bytes. */
bool stream_send_number(struct stream *stream, uint16_t session, uint8_t type, uint32_t number);
/* The first four bytes of a payload. */
uint32_t frame_number(const struct frame *frame);
/* Writes what can be written. False after an error. */
bool stream_flush(struct stream *stream);
/* Writes at most `room` bytes and makes it less by what was written. */
bool stream_flush_within(struct stream *stream, size_t *room);

#endif
