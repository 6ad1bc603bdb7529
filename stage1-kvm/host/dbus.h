/*
 * As much of the D-Bus protocol as it takes to call methods of services on the system bus, one after the other, D-Bus
 * specification 0.41. A call waits for its answer, but never longer than the bus was opened for.
 */
#ifndef RKT_DBUS_H
#define RKT_DBUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bus {
	/* -1 when it could not be reached or has broken off. */
	int fd;
	uint32_t serial;
};

struct dbus_method {
	const char *destination, *path, *interface, *member;
};

/* The arguments of a call in this machine's byte order; what does not fit makes the call fail. */
struct dbus_arguments {
	unsigned char bytes[8192];
	size_t size;
	bool too_long;
};

enum dbus_result {
	DBUS_DONE,
	/* The service has said no; `error` is the name of the error. */
	DBUS_REFUSED,
	/* No answer, or none that can be understood. */
	DBUS_UNREACHABLE,
};

void dbus_add_string(struct dbus_arguments *arguments, const char *text);
void dbus_add_number(struct dbus_arguments *arguments, uint32_t number);
/* An array of bytes. */
void dbus_add_bytes(struct dbus_arguments *arguments, const void *bytes, uint32_t size);
/* An empty array of structures. */
void dbus_add_empty_array(struct dbus_arguments *arguments);

/* Every step waits at most for so long. False when nobody answers. */
bool dbus_open(struct bus *bus, int timeout_ms);
void dbus_close(struct bus *bus);
/* `error` takes the name of an error, up to 255 characters. */
enum dbus_result dbus_call(struct bus *bus, const struct dbus_method *method, const char *signature,
			   const struct dbus_arguments *arguments, char error[256]);

#endif
