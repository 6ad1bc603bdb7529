#ifndef RKT_PRIVILEGES_H
#define RKT_PRIVILEGES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * What the program that this process becomes may do on the host: it is of the user `user` with the group of the same
 * number, when that is not root without any capability, else with `capabilities` at most; nothing that it starts gets more. The signal
 * for the death of the parent has to be set again afterwards, prctl(2). False with errno.
 */
bool drop_privileges(uid_t user, uint64_t capabilities);

#endif
