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

/* The kernel changes to it when the program is executed. */
static void set_label(const char *file, const char *prefix, const char *label, int status)
{
	char *text;
	int fd = open(file, O_WRONLY | O_CLOEXEC);
	int length = asprintf(&text, "%s%s", prefix, label);

	if (length < 0 || fd < 0 || write(fd, text, (size_t)length) != length)
		die(status, "cannot take the label %s", label);
	close(fd);
	free(text);
}

static void set_labels(const struct spec *spec)
{
	if (spec->selinux)
		set_label("/proc/thread-self/attr/exec", "", spec->selinux, EXIT_SELINUX);
	if (spec->apparmor)
		set_label("/proc/thread-self/attr/apparmor/exec", "exec ", spec->apparmor, EXIT_APPARMOR);
}

static bool is_variable(const char *entry, const char *name)
{
	size_t length = strlen(name);

	return !strncmp(entry, name, length) && entry[length] == '=';
}

static void set_variable(struct list *environment, const char *name, const char *value)
{
	char *entry;

	if (asprintf(&entry, "%s=%s", name, value) < 0)
		die(1, "out of memory");
	for (size_t i = 0; i < environment->count; i++) {
		if (is_variable(environment->items[i], name)) {
			environment->items[i] = entry;
			return;
		}
	}
	list_add(environment, entry);
}

/* The app's own values for these win. */
static void add_default(struct list *environment, const char *name)
{
	const char *value = getenv(name);

	for (size_t i = 0; value && i < environment->count; i++)
		if (is_variable(environment->items[i], name))
			return;
	if (value)
		set_variable(environment, name, value);
}

/* The number of descriptors that systemd passed for the app, from 3 on, sd_listen_fds(3). Hooks get none. */
static unsigned int passed_sockets(const struct spec *spec)
{
	const char *pid = getenv("LISTEN_PID");
	const char *count = getenv("LISTEN_FDS");

	if (!spec->sockets.count || !pid || !count || atol(pid) != (long)getpid())
		return 0;
	return (unsigned int)strtoul(count, NULL, 10);
}

/* systemd names all sockets of a unit alike; the app finds the names of its ports. */
static void add_sockets(const struct spec *spec, struct list *environment, unsigned int passed)
{
	char names[4096] = "";
	size_t used = 0;

	set_variable(environment, "LISTEN_FDS", getenv("LISTEN_FDS"));
	set_variable(environment, "LISTEN_PID", getenv("LISTEN_PID"));
	for (size_t i = 0; i < passed && i < spec->sockets.count && used < sizeof names; i++)
		used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i ? ":" : "", spec->sockets.items[i]);
	if (passed == spec->sockets.count && used < sizeof names)
		set_variable(environment, "LISTEN_FDNAMES", names);
}

/* Variables that only the process that starts an app can know. */
static void add_passed_environment(const struct spec *spec, struct list *environment, unsigned int sockets)
{
	if (sockets)
		add_sockets(spec, environment, sockets);
	if (spec->pass_notify && getenv("NOTIFY_SOCKET"))
		set_variable(environment, "NOTIFY_SOCKET", getenv("NOTIFY_SOCKET"));
	add_default(environment, "TERM");
	add_default(environment, "container");
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

void confine_and_exec(const struct spec *spec, int filter_dir, const struct list *argv, int program)
{
	struct list environment = { 0 };

	for (size_t i = 0; i < spec->environment.count; i++)
		list_add(&environment, spec->environment.items[i]);
	unsigned int sockets = passed_sockets(spec);
	add_passed_environment(spec, &environment, sockets);
	if (!environment.items)
		list_add(&environment, NULL);
	umask(022);
	/* Whatever the isolators say, and while this process may do it without the user's leave. */
	install_process_filter(filter_dir);
	set_rlimits(spec);
	set_labels(spec);
	drop_capabilities(spec->bounding);
	become_user(spec);
	if (chdir(spec->cwd) < 0)
		die(EXIT_CHDIR, "cannot change to the working directory %s", spec->cwd);
	if (spec->no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		die(EXIT_NO_NEW_PRIVILEGES, "cannot set no_new_privs");
	if (syscall(SYS_close_range, 3 + sockets, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
		die(1, "cannot close descriptors");
	install_filters(spec, filter_dir);
	if (program == NO_PROGRAM)
		execve(argv->items[0], argv->items, environment.items);
	else
		syscall(SYS_execveat, program, "", argv->items, environment.items, AT_EMPTY_PATH);
	explain_exec_failure(argv->items[0]);
}
