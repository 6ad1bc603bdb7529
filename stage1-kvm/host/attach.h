#ifndef RKT_ATTACH_H
#define RKT_ATTACH_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Starts the client that joins descriptors 0 to 2 of this process to the streams of the app, and gives its process and our
 * end of its connection; -1 after an error. This process and what it starts later have the console of the machine there
 * then: nothing, or with `debug` descriptor 2.
 */
pid_t attach_start(const char *client, bool debug, int *connection);

#endif
