#ifndef RKT_GUEST_STATUS_H
#define RKT_GUEST_STATUS_H

/* The exit status of the pod, 0 to 255, which the guest has left in `file`; -1 for none. */
int read_guest_status(const char *file);

#endif
