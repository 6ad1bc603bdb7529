#ifndef RKT_BASELINE_H
#define RKT_BASELINE_H

/*
 * What no process of a pod may do, stage1's systemd included: called by PID 1 just before it becomes systemd. Leaves the
 * keys of whoever started the pod, and installs the filters that were made at build time from stage1/security. Gives
 * the file that could not be installed, with errno, or NULL.
 */
const char *install_baseline(void);

#endif
