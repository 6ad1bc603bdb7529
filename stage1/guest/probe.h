/*
 * probe [--format=text|json] [--own-kernel]: tries from inside an app what an app must not be able to do, and says what
 * holds. `rkt test-isolation` runs it; docs/security.md says what each check expects. It changes nothing that stays.
 */
#ifndef RKT_PROBE_H
#define RKT_PROBE_H

#include <stdbool.h>

/* One check: what was seen, and whether the app is kept away from it. */
void report(const char *check, bool closed, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The same for an attempt, by what it returned and errno: closed only by an error that stands for a refusal. */
void report_attempt(const char *check, long result);

/*
 * Runs an attempt in a process of its own, which may end up in another state; gives its result and sets errno. One that is
 * killed for it was refused.
 */
long in_child(long (*attempt)(void));

/* Opens and closes; the descriptor's number or -1. */
long try_open(const char *path, int flags);

/* The pod has a kernel of its own: what is the kernel's is the pod's. */
extern bool own_kernel;

void probe_process(void);
void probe_calls(void);
void probe_files(void);

#endif
