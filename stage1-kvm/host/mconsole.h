/* The management console of User-Mode Linux, arch/um/include/shared/mconsole.h of the kernel. */
#ifndef RKT_MCONSOLE_H
#define RKT_MCONSOLE_H

#include <sys/types.h>

/*
 * Takes memory that is free away from the guest for a moment, which is when the host gets its pages back. `socket` is
 * relative to the root of the process `hypervisor`. A process of its own does it, and nobody waits for it; when it fails the
 * host only has less memory.
 */
void mconsole_give_back(pid_t hypervisor, const char *socket);

#endif
