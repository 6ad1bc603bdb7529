#define _GNU_SOURCE
#include "machine-root.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Where leave_machine_root goes back to. */
static int pod_namespace = -1, working_directory = -1;

bool enter_machine_root(const char *directory)
{
	pod_namespace = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	working_directory = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return pod_namespace >= 0 && working_directory >= 0 && unshare(CLONE_NEWNS) == 0 &&
	       mount("", "/", "", MS_PRIVATE | MS_REC, NULL) == 0 && chdir(directory) == 0 &&
	       /* The old root comes to lie on the new one, and goes; pivot_root(2). */
	       syscall(SYS_pivot_root, ".", ".") == 0 && umount2(".", MNT_DETACH) == 0 &&
	       fchdir(working_directory) == 0;
}

bool leave_machine_root(void)
{
	if (pod_namespace < 0)
		return true;
	bool left = setns(pod_namespace, CLONE_NEWNS) == 0 && fchdir(working_directory) == 0;
	close(pod_namespace);
	close(working_directory);
	pod_namespace = -1;
	working_directory = -1;
	return left;
}
