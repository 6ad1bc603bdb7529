/*
 * A mount namespace of this process alone, whose root is what machined, machinectl and journalctl find by way of it. It
 * holds the journal of the pod and nothing that the pod could have put in their way; in the namespace of the pod they
 * would find the host's journals and files, and in the guest's root links that lead out of it.
 */
#ifndef RKT_MACHINE_ROOT_H
#define RKT_MACHINE_ROOT_H

#include <stdbool.h>

/* `directory`, a mount point, becomes the root; the working directory stays. False with errno. */
bool enter_machine_root(const char *directory);
/* Back to the namespace before. It is no error that this is where we are. */
bool leave_machine_root(void);

#endif
