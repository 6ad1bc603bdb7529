/* How the monitor ends when it cannot do its work. */
#ifndef RKT_FAILURE_H
#define RKT_FAILURE_H

#define FAILED 254

/* Says what could not be done, and why by errno. */
void die(const char *what) __attribute__((noreturn));

#endif
