#define _GNU_SOURCE
#include "machined.h"
#include "dbus.h"
#include "failure.h"
#include "machine-root.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A pod does not wait longer for an answer at its start, nor at its end. */
#define TIMEOUT_MS 5000
#define NAME_TAKEN "org.freedesktop.machine1.MachineExists"

static void __attribute__((noreturn)) give_up(const char *what, const char *why)
{
	dprintf(2, "monitor: %s: %s\n", what, why);
	exit(FAILED);
}

static void leave_root(void)
{
	if (!leave_machine_root())
		give_up("the root of the host", strerror(errno));
}

static struct dbus_method manager(const char *member)
{
	return (struct dbus_method){
		"org.freedesktop.machine1", "/org/freedesktop/machine1", "org.freedesktop.machine1.Manager", member,
	};
}

/* The UUID at the end of the name is the machine's id. */
static void add_machine_id(struct dbus_arguments *arguments, const char *name)
{
	unsigned char id[16] = { 0 };
	size_t length = strlen(name), digits = 0;

	for (const char *c = name + (length > 36 ? length - 36 : 0); *c && digits < 32; c++) {
		if (!isxdigit((unsigned char)*c))
			continue;
		const char digit[2] = { *c, '\0' };
		id[digits / 2] = (unsigned char)(id[digits / 2] << 4 | strtoul(digit, NULL, 16));
		digits++;
	}
	dbus_add_bytes(arguments, id, sizeof id);
}

static enum dbus_result ask(struct bus *bus, const struct registration *machine, char error[256])
{
	static struct dbus_arguments arguments;
	const struct dbus_method method = manager(machine->scope ? "CreateMachine" : "RegisterMachine");

	dbus_add_string(&arguments, machine->name);
	add_machine_id(&arguments, machine->name);
	dbus_add_string(&arguments, "rkt");
	dbus_add_string(&arguments, "container");
	/* The leader: whoever asks. */
	dbus_add_number(&arguments, 0);
	dbus_add_string(&arguments, machine->root);
	if (machine->scope)
		dbus_add_empty_array(&arguments);
	return dbus_call(bus, &method, machine->scope ? "sayssusa(sv)" : "sayssus", &arguments, error);
}

bool register_machine(const struct registration *machine)
{
	struct bus bus;
	char error[256] = "nobody answers";
	enum dbus_result result = DBUS_UNREACHABLE;

	/* The bus has a name only in the host's root. */
	bool open = dbus_open(&bus, TIMEOUT_MS);
	if (!enter_machine_root(machine->leader_root))
		give_up(machine->leader_root, strerror(errno));
	if (open)
		result = ask(&bus, machine, error);
	dbus_close(&bus);
	if (result == DBUS_DONE)
		return true;
	if (result == DBUS_REFUSED && !strcmp(error, NAME_TAKEN))
		give_up(machine->name, "machined has a machine of this name already");
	leave_root();
	dprintf(2, "monitor: machined: %s: the pod is not registered with machined\n", error);
	return false;
}

void unregister_machine(const struct registration *machine)
{
	static struct dbus_arguments arguments;
	const struct dbus_method method = manager("UnregisterMachine");
	struct bus bus;
	char error[256];

	leave_root();
	if (!dbus_open(&bus, TIMEOUT_MS))
		return;
	dbus_add_string(&arguments, machine->name);
	dbus_call(&bus, &method, "s", &arguments, error);
	dbus_close(&bus);
}
