#ifndef RKT_STREAMS_H
#define RKT_STREAMS_H

#include <stdbool.h>

/*
 * Puts the app's ends of its streams where the app finds them: a terminal becomes /dev/console, pipes are kept by a process
 * that stage1/guest/launch.c takes them from. False after an error.
 */
bool streams_offer(bool terminal, const int ends[3]);

#endif
