#ifndef RKT_WATCH_H
#define RKT_WATCH_H

#include "machine.h"

/* Descriptor of the signals that watch() heeds, which have no other effect any more; -1 with errno. */
int catch_signals(void);
/* Serves everybody until the hypervisor is gone, and ends it when there is nothing to wait for any more. */
void watch(struct machine *machine, int signals);

#endif
