/* A pseudo terminal between the caller's terminal and a program in the pod, which never gets the caller's own. */
#ifndef RKT_TERMINAL_H
#define RKT_TERMINAL_H

#include <stdbool.h>
#include <sys/types.h>

struct terminal {
	int master;
	int slave;
	/* Which of the descriptors 0 to 2 are terminals and are replaced. */
	bool replaced[3];
};

/* False when no descriptor is a terminal. Opens the pseudo terminal in the devpts that `ptmx` belongs to. */
bool terminal_open(struct terminal *terminal, const char *ptmx);
/* In the child: a session of its own with the new terminal. */
void terminal_take(const struct terminal *terminal);
/* In the parent: copies both ways until the child has ended; gives its wait status. */
int terminal_relay(const struct terminal *terminal, pid_t child);

#endif
