#ifndef RKT_MEMORY_MARKS_H
#define RKT_MEMORY_MARKS_H

/* Files with the names of apps of which something was killed for its use of memory, when not the kernel did it. */
#define MEMORY_MARKS "/run/rkt-memory"

#endif
