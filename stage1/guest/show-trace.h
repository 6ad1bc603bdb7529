#ifndef RKT_SHOW_TRACE_H
#define RKT_SHOW_TRACE_H

/* Prints to the console of a traced pod what its programs have written down; does nothing in others. */
void show_trace(void);

#endif
