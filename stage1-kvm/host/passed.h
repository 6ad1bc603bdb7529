/* What a program finds as descriptors from FIRST_PASSED on, opened for it by who may. */
#ifndef RKT_PASSED_H
#define RKT_PASSED_H

#include <stdbool.h>

#define FIRST_PASSED 3
#define MOST_PASSED 64

struct passed {
	int fds[MOST_PASSED];
	int count;
};

/* A descriptor below 0 is left out. */
void passed_add(struct passed *passed, int fd);
/*
 * Opens read:FILE, write:FILE for both, tap:NAME for that device of the network, or share for a connection to the helper,
 * which listens on the socket `share`. False with errno.
 */
bool passed_open(struct passed *passed, const char *what, const char *share);
/* In the program's process: moves them to their numbers, and closes everything else but 0 to 2. False with errno. */
bool passed_take(const struct passed *passed);
void passed_close(struct passed *passed);

#endif
