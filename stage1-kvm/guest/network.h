#ifndef RKT_NETWORK_H
#define RKT_NETWORK_H

/* Brings the loopback device up and does what the file says; a file that is not there means no network. 0 or -1, said. */
int configure_network(const char *file);

#endif
