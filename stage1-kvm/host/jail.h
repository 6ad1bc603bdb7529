#ifndef RKT_JAIL_H
#define RKT_JAIL_H

#include <stdbool.h>

/*
 * Leaves the host's files behind: this process and what it becomes finds /usr, which it cannot change, `program` in
 * JAIL_PROGRAMS, a few devices, its own /proc and an empty working directory; with `files` also what the pod shares with its
 * guest, and the pod's disks, where they were relative to the working directory before. It has to be the first of a process
 * namespace. NULL, or what has failed, with errno.
 */
const char *enter_jail(const char *program, bool files);

#define JAIL_PROGRAMS "/program"

#endif
