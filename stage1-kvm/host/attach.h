#ifndef RKT_ATTACH_H
#define RKT_ATTACH_H

#include <sys/types.h>

/*
 * Starts the client that joins descriptors 0 to 2 of this process to the streams of the app, and gives its process and our
 * end of its connection; -1 after an error. This process and what it starts later read from `nothing`, a descriptor of
 * /dev/null, and print to `output` then.
 */
pid_t attach_start(const char *client, int output, int nothing, int *connection);

#endif
