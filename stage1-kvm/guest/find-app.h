#ifndef RKT_FIND_APP_H
#define RKT_FIND_APP_H

#include <stdbool.h>
#include <sys/types.h>

#define APP_CGROUPS "/sys/fs/cgroup/system.slice"

/* An app's name holds nothing that would lead a path elsewhere. */
bool is_app_name(const char *name);
/*
 * The main process of an app: the oldest child of systemd in the cgroup of the app's unit that has left the pod's mount
 * namespace. 0 when it has ended or is not started yet. The same as stage1/cgroups/find-app-process.ts on the host.
 */
pid_t find_app_process(const char *app);
/* Of systemd, in hexadecimal. */
const char *bounding_set(void);

#endif
