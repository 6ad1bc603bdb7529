/* What `rkt run --trace` shows of a pod. */
#ifndef RKT_TRACE_H
#define RKT_TRACE_H

#include <stdint.h>

/* In the pod's own root. */
#define TRACE_FILE "/rkt/trace"
/* Set in a pod that is traced: when stage1 and when rkt itself started it, EXEC:BEGAN in microseconds since 1970. */
#define TRACE_VARIABLE "RKT_TRACE"

/* A phase of a traced pod has ended, so many microseconds ago; does nothing in others. */
void trace(int64_t ago, const char *phase, ...) __attribute__((format(printf, 2, 3)));

#endif
