/*
 * Makes the pod known to systemd-machined, org.freedesktop.machine1(5). It is of the class "container", because machined
 * opens the root of no virtual machine, which is how journalctl -M finds the journal.
 */
#ifndef RKT_MACHINED_H
#define RKT_MACHINED_H

#include <stdbool.h>

struct registration {
	/* NULL for a pod that is not registered. */
	const char *name;
	/* What machinectl shows as the machine's root; nobody follows it. */
	const char *root;
	/* What becomes the root of this process, machine-root.h. */
	const char *leader_root;
	/* machined makes a scope and moves this process into it; else the unit that it is in is the machine's. */
	bool scope;
};

/*
 * This process becomes the leader, with the root of one. True when machined knows the machine. When machined cannot be
 * reached that is said, and gives false; when another machine has the name this program ends.
 */
bool register_machine(const struct registration *machine);
/* Back to the host's root. A machine that is not known any more is no error. */
void unregister_machine(const struct registration *machine);

#endif
