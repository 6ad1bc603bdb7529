#define _GNU_SOURCE
#include "frames.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEADER 8u

void stream_init(struct stream *stream, int fd)
{
	memset(stream, 0, sizeof *stream);
	stream->fd = fd;
}

void stream_free(struct stream *stream)
{
	if (stream->fd >= 0)
		close(stream->fd);
	free(stream->out);
	stream_init(stream, -1);
}

static void drop_taken(struct stream *stream)
{
	stream->in_size -= stream->in_taken;
	memmove(stream->in, stream->in + stream->in_taken, stream->in_size);
	stream->in_taken = 0;
}

bool stream_fill(struct stream *stream)
{
	drop_taken(stream);
	ssize_t n = read(stream->fd, stream->in + stream->in_size, sizeof stream->in - stream->in_size);
	if (n > 0)
		stream->in_size += (size_t)n;
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static uint32_t number(const unsigned char *bytes, size_t size)
{
	uint32_t n = 0;

	while (size-- > 0)
		n = n << 8 | bytes[size];
	return n;
}

int stream_next(struct stream *stream, struct frame *frame)
{
	drop_taken(stream);
	if (stream->in_size < HEADER)
		return 0;
	frame->length = number(stream->in, 4);
	frame->session = (uint16_t)number(stream->in + 4, 2);
	frame->type = stream->in[6];
	if (frame->length > PAYLOAD_LIMIT || stream->in[7] != 0)
		return -1;
	if (stream->in_size < HEADER + frame->length)
		return 0;
	frame->payload = stream->in + HEADER;
	stream->in_taken = HEADER + frame->length;
	return 1;
}

bool stream_has_room(const struct stream *stream)
{
	return stream->out_size <= QUEUE_LIMIT / 2;
}

bool stream_send(struct stream *stream, uint16_t session, uint8_t type, const void *payload, size_t length)
{
	const unsigned char header[HEADER] = {
		(unsigned char)length, (unsigned char)(length >> 8), (unsigned char)(length >> 16), 0,
		(unsigned char)session, (unsigned char)(session >> 8), type, 0,
	};

	if (length > PAYLOAD_LIMIT || stream->out_size + HEADER + length > QUEUE_LIMIT)
		return false;
	unsigned char *out = realloc(stream->out, stream->out_size + HEADER + length);
	if (!out)
		return false;
	memcpy(out + stream->out_size, header, HEADER);
	if (length > 0)
		memcpy(out + stream->out_size + HEADER, payload, length);
	stream->out = out;
	stream->out_size += HEADER + length;
	return true;
}

bool stream_send_number(struct stream *stream, uint16_t session, uint8_t type, uint32_t number)
{
	const unsigned char payload[4] = {
		(unsigned char)number, (unsigned char)(number >> 8), (unsigned char)(number >> 16), (unsigned char)(number >> 24),
	};

	return stream_send(stream, session, type, payload, sizeof payload);
}

uint32_t frame_number(const struct frame *frame)
{
	return number(frame->payload, 4);
}

bool stream_flush(struct stream *stream)
{
	size_t room = SIZE_MAX;

	return stream_flush_within(stream, &room);
}

bool stream_flush_within(struct stream *stream, size_t *room)
{
	while (stream->out_size > 0 && *room > 0) {
		ssize_t n = write(stream->fd, stream->out, stream->out_size < *room ? stream->out_size : *room);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		*room -= (size_t)n;
		stream->out_size -= (size_t)n;
		memmove(stream->out, stream->out + n, stream->out_size);
	}
	return true;
}
