/* The file that the process which passes on the output of an app holds locked while it does. */
#ifndef RKT_OUTPUT_LOCK_H
#define RKT_OUTPUT_LOCK_H

#include <stdio.h>

static inline void output_lock_path(char *path, size_t size, const char *app)
{
	snprintf(path, size, "/run/rkt-output-%s", app);
}

#endif
