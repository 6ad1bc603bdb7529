#define _GNU_SOURCE
#include "dbus.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define SYSTEM_BUS "/run/dbus/system_bus_socket"
/* Other messages may come before an answer, but not for ever. */
#define MOST_MESSAGES 64

enum message_type { METHOD_CALL = 1, METHOD_RETURN = 2, ERROR = 3 };
enum header_field { PATH = 1, INTERFACE = 2, MEMBER = 3, ERROR_NAME = 4, REPLY_SERIAL = 5, DESTINATION = 6, SIGNATURE = 8 };

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define BYTE_ORDER_MARK 'l'
#else
#define BYTE_ORDER_MARK 'B'
#endif

struct header {
	uint8_t byte_order, type, flags, version;
	uint32_t body_size, serial, fields_size;
};

static void add(struct dbus_arguments *to, const void *bytes, size_t size)
{
	if (size > sizeof to->bytes - to->size) {
		to->too_long = true;
		return;
	}
	memcpy(to->bytes + to->size, bytes, size);
	to->size += size;
}

static void align(struct dbus_arguments *to, size_t boundary)
{
	static const unsigned char zeros[8];

	add(to, zeros, -to->size & (boundary - 1));
}

void dbus_add_number(struct dbus_arguments *arguments, uint32_t number)
{
	align(arguments, 4);
	add(arguments, &number, sizeof number);
}

void dbus_add_string(struct dbus_arguments *arguments, const char *text)
{
	dbus_add_number(arguments, (uint32_t)strlen(text));
	add(arguments, text, strlen(text) + 1);
}

void dbus_add_bytes(struct dbus_arguments *arguments, const void *bytes, uint32_t size)
{
	dbus_add_number(arguments, size);
	add(arguments, bytes, size);
}

void dbus_add_empty_array(struct dbus_arguments *arguments)
{
	dbus_add_number(arguments, 0);
	/* Its elements would begin here. */
	align(arguments, 8);
}

static void add_signature(struct dbus_arguments *to, const char *text)
{
	const unsigned char length = (unsigned char)strlen(text);

	add(to, &length, 1);
	add(to, text, (size_t)length + 1);
}

static void add_field(struct dbus_arguments *to, enum header_field field, const char *type, const char *text)
{
	const unsigned char code = (unsigned char)field;

	align(to, 8);
	add(to, &code, 1);
	add_signature(to, type);
	if (field == SIGNATURE)
		add_signature(to, text);
	else
		dbus_add_string(to, text);
}

enum direction { WRITE, READ };

static bool transfer_all(struct bus *bus, enum direction direction, void *bytes, size_t size)
{
	for (size_t done = 0; done < size;) {
		char *rest = (char *)bytes + done;
		ssize_t n = direction == WRITE ? send(bus->fd, rest, size - done, MSG_NOSIGNAL)
					       : recv(bus->fd, rest, size - done, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		done += (size_t)n;
	}
	return true;
}

static bool write_all(struct bus *bus, const void *bytes, size_t size)
{
	return transfer_all(bus, WRITE, (void *)bytes, size);
}

static bool read_all(struct bus *bus, void *bytes, size_t size)
{
	return transfer_all(bus, READ, bytes, size);
}

static bool send_call(struct bus *bus, const struct dbus_method *method, const char *signature,
		      const struct dbus_arguments *arguments)
{
	static struct dbus_arguments fields;
	struct header header = { .byte_order = BYTE_ORDER_MARK, .type = METHOD_CALL, .version = 1 };

	fields.size = 0;
	fields.too_long = false;
	add_field(&fields, PATH, "o", method->path);
	add_field(&fields, INTERFACE, "s", method->interface);
	add_field(&fields, MEMBER, "s", method->member);
	add_field(&fields, DESTINATION, "s", method->destination);
	if (arguments)
		add_field(&fields, SIGNATURE, "g", signature);
	header.fields_size = (uint32_t)fields.size;
	header.body_size = arguments ? (uint32_t)arguments->size : 0;
	header.serial = ++bus->serial;
	/* The header has sixteen bytes, so that its end is where that of the fields is, in multiples of eight. */
	align(&fields, 8);
	if (fields.too_long || (arguments && arguments->too_long))
		return false;
	return write_all(bus, &header, sizeof header) && write_all(bus, fields.bytes, fields.size) &&
	       (!arguments || write_all(bus, arguments->bytes, arguments->size));
}

static uint32_t number_at(const unsigned char *bytes)
{
	uint32_t number;

	memcpy(&number, bytes, sizeof number);
	return number;
}

struct reply_fields {
	uint32_t serial;
	char error[256];
};

/* Of the fields of a header those that an answer has; false for what is not well formed. */
static bool read_fields(const unsigned char *bytes, size_t size, struct reply_fields *found)
{
	size_t at = 0;

	while (at < size) {
		at = (at + 7) & ~(size_t)7;
		/* A field that is known has one basic type. */
		if (at + 5 > size || bytes[at + 1] != 1 || bytes[at + 3] != 0)
			return false;
		unsigned char field = bytes[at], type = bytes[at + 2];
		at += 4;
		if (type != 'g' && at + 4 > size)
			return false;
		if (type == 'u') {
			if (field == REPLY_SERIAL)
				found->serial = number_at(bytes + at);
			at += 4;
			continue;
		}
		if (type != 's' && type != 'o' && type != 'g')
			return false;
		size_t length = type == 'g' ? bytes[at] : number_at(bytes + at);
		at += type == 'g' ? 1 : 4;
		if (length >= size - at)
			return false;
		if (field == ERROR_NAME)
			snprintf(found->error, sizeof found->error, "%.*s", (int)length, (const char *)bytes + at);
		at += length + 1;
	}
	return true;
}

/* Takes the next message; its type, or -1. Bodies are of no interest. */
static int read_message(struct bus *bus, struct reply_fields *found)
{
	static unsigned char fields[65536];
	struct header header;

	memset(found, 0, sizeof *found);
	if (!read_all(bus, &header, sizeof header) || header.byte_order != BYTE_ORDER_MARK ||
	    header.fields_size > sizeof fields - 8)
		return -1;
	if (!read_all(bus, fields, (header.fields_size + 7) & ~7u) || !read_fields(fields, header.fields_size, found))
		return -1;
	for (uint32_t left = header.body_size; left > 0;) {
		uint32_t some = left < sizeof fields ? left : (uint32_t)sizeof fields;
		if (!read_all(bus, fields, some))
			return -1;
		left -= some;
	}
	return header.type;
}

enum dbus_result dbus_call(struct bus *bus, const struct dbus_method *method, const char *signature,
			   const struct dbus_arguments *arguments, char error[256])
{
	struct reply_fields found;

	if (bus->fd < 0 || !send_call(bus, method, signature, arguments))
		return DBUS_UNREACHABLE;
	for (int i = 0; i < MOST_MESSAGES; i++) {
		int type = read_message(bus, &found);
		if (type < 0)
			break;
		if (found.serial != bus->serial || (type != METHOD_RETURN && type != ERROR))
			continue;
		snprintf(error, 256, "%s", found.error);
		return type == METHOD_RETURN ? DBUS_DONE : DBUS_REFUSED;
	}
	dbus_close(bus);
	return DBUS_UNREACHABLE;
}

/* The bus knows from the kernel who we are; we only have to say so, with the user's number in hexadecimal digits of text. */
static bool authenticate(struct bus *bus)
{
	static const char begin[] = "\0AUTH EXTERNAL ", end[] = "BEGIN\r\n";
	char user[16], text[64], answer[128];
	size_t size = sizeof begin - 1;

	memcpy(text, begin, size);
	snprintf(user, sizeof user, "%u", geteuid());
	for (const char *c = user; *c; c++)
		size += (size_t)snprintf(text + size, sizeof text - size, "%02x", (unsigned char)*c);
	memcpy(text + size, "\r\n", 2);
	if (!write_all(bus, text, size + 2))
		return false;
	for (size = 0; size < sizeof answer; size++) {
		if (!read_all(bus, answer + size, 1))
			return false;
		if (answer[size] == '\n')
			break;
	}
	return size > 3 && !memcmp(answer, "OK ", 3) && write_all(bus, end, sizeof end - 1);
}

bool dbus_open(struct bus *bus, int timeout_ms)
{
	static const struct dbus_method hello = {
		"org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello",
	};
	const struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = SYSTEM_BUS };
	const struct timeval timeout = { timeout_ms / 1000, timeout_ms % 1000 * 1000 };
	char error[256];

	*bus = (struct bus){ .fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) };
	/* The first also limits connect, unix(7). */
	if (bus->fd >= 0 && setsockopt(bus->fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout) == 0 &&
	    setsockopt(bus->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout) == 0 &&
	    connect(bus->fd, (const struct sockaddr *)&address, sizeof address) == 0 && authenticate(bus) &&
	    dbus_call(bus, &hello, "", NULL, error) == DBUS_DONE)
		return true;
	dbus_close(bus);
	return false;
}

void dbus_close(struct bus *bus)
{
	if (bus->fd >= 0)
		close(bus->fd);
	bus->fd = -1;
}
