/* What an app may do: user, groups, capabilities, no_new_privs, system calls. The same for app, hooks and enter. */
#define _GNU_SOURCE
#include "spec.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* NGROUPS_MAX of the kernel. */
#define GROUPS_LIMIT 65536

static void drop_capabilities(uint64_t bounding)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	for (int cap = 0; cap < 64; cap++) {
		if (bounding >> cap & 1)
			continue;
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0) {
			/* EINVAL: this kernel knows no more capabilities. */
			if (errno == EINVAL)
				break;
			die(EXIT_CAPABILITIES, "cannot drop capability %d", cap);
		}
	}
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		die(EXIT_CAPABILITIES, "cannot clear the ambient capabilities");
	if (syscall(SYS_capget, &header, data) < 0)
		die(EXIT_CAPABILITIES, "cannot read the capabilities");
	data[0].inheritable = data[1].inheritable = 0;
	if (syscall(SYS_capset, &header, data) < 0)
		die(EXIT_CAPABILITIES, "cannot clear the inheritable capabilities");
}

static void become_user(const struct spec *spec)
{
	static gid_t groups[GROUPS_LIMIT];
	size_t count = spec->groups.count;

	if (count > GROUPS_LIMIT) {
		errno = 0;
		die(EXIT_GROUP, "too many supplementary groups");
	}
	for (size_t i = 0; i < count; i++)
		groups[i] = (gid_t)strtoul(spec->groups.items[i], NULL, 10);
	if (setgroups(count, groups) < 0 || setresgid(spec->gid, spec->gid, spec->gid) < 0)
		die(EXIT_GROUP, "cannot take group %u", spec->gid);
	if (setresuid(spec->uid, spec->uid, spec->uid) < 0)
		die(EXIT_USER, "cannot take user %u", spec->uid);
}

/* Variables that only the process that starts an app can know. */
static void add_passed_environment(const struct spec *spec, struct list *environment)
{
	const char *names[] = {
		spec->pass_listen_fds ? "LISTEN_FDS" : NULL,
		spec->pass_listen_fds ? "LISTEN_PID" : NULL,
		spec->pass_listen_fds ? "LISTEN_FDNAMES" : NULL,
		spec->pass_notify ? "NOTIFY_SOCKET" : NULL,
		"TERM",
		"container",
	};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		const char *value = names[i] ? getenv(names[i]) : NULL;
		char *entry;
		if (!value)
			continue;
		size_t length = strlen(names[i]);
		bool given = false;
		for (size_t j = 0; j < environment->count; j++)
			given |= !strncmp(environment->items[j], names[i], length) && environment->items[j][length] == '=';
		if (!given && asprintf(&entry, "%s=%s", names[i], value) > 0)
			list_add(environment, entry);
	}
}

static void explain_exec_failure(const char *file)
{
	struct stat st;
	int error = errno;

	if (error == ENOENT && stat(file, &st) == 0) {
		errno = 0;
		die(EXIT_EXEC, "cannot run %s: its interpreter or loader is missing in the image", file);
	}
	errno = error;
	die(EXIT_EXEC, "cannot run %s", file);
}

void confine_and_exec(const struct spec *spec, int filter_dir, const struct list *argv)
{
	struct list environment = { 0 };

	for (size_t i = 0; i < spec->environment.count; i++)
		list_add(&environment, spec->environment.items[i]);
	add_passed_environment(spec, &environment);
	if (!environment.items)
		list_add(&environment, NULL);
	/* Until the new program is there, nobody in the pod may look into this process or at its executable. */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	umask(022);
	drop_capabilities(spec->bounding);
	become_user(spec);
	if (chdir(spec->cwd) < 0)
		die(EXIT_CHDIR, "cannot change to the working directory %s", spec->cwd);
	if (spec->no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		die(EXIT_NO_NEW_PRIVILEGES, "cannot set no_new_privs");
	unsigned int first = spec->pass_listen_fds && getenv("LISTEN_FDS") ? 3 + (unsigned int)atoi(getenv("LISTEN_FDS")) : 3;
	if (syscall(SYS_close_range, first, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
		die(1, "cannot close descriptors");
	install_filters(spec, filter_dir);
	execve(argv->items[0], argv->items, environment.items);
	explain_exec_failure(argv->items[0]);
}
