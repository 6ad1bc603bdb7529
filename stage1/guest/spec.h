/*
 * How one app of a pod is to be run: read by `launch`, which starts the app inside the pod, and by `enter`,
 * which joins it from the host. stage1/app-spec.ts writes the file: NUL-terminated `key=value` strings.
 */
#ifndef RKT_SPEC_H
#define RKT_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct list {
	char **items;
	size_t count;
};

struct spec {
	const char *root;
	bool readonly_root;
	bool bind_sys;
	/* The pod has a kernel of its own: the app's /dev is made here and not on the host. */
	bool make_devices;
	struct list binds;
	struct list readonly;
	struct list masks;
	/*
	 * With `make_devices`: where volumes are, without links, whose mounts the host has restricted for itself only; with `+`
	 * in front where set-user-ID programs have an effect.
	 */
	struct list volumes;
	uid_t uid;
	gid_t gid;
	struct list groups;
	/* NAME:SOFT:HARD, without RLIMIT_. */
	struct list rlimits;
	/* What the program becomes for a security module; NULL for what that says itself. */
	const char *selinux;
	const char *apparmor;
	const char *cwd;
	uint64_t bounding;
	bool no_new_privileges;
	/* Files with ready-made filters, below the filter directory. */
	struct list filters;
	/* NULL, "allow" or "deny": a filter to compile from `calls`, answering `filter_errno`. */
	const char *filter_mode;
	int filter_errno;
	struct list calls;
	/* The descriptors 0 to 2 are fetched from the process that keeps the caller's. */
	bool keeper_stdio;
	/* Output goes through the pod's console, which nobody types at. */
	bool plain_console;
	/* The app can open its output by name. */
	bool open_output;
	/* The names of the ports whose sockets the app gets, in the order of the descriptors. */
	struct list sockets;
	bool pass_notify;
	struct list environment;
	struct list arguments;
	struct list pre_start;
	struct list post_stop;
};

/* Reads the whole file behind fd; exits with a message when it is malformed. */
void spec_read(int fd, struct spec *spec);
void list_add(struct list *list, char *item);

/* Prints "rkt: " and the message with the text of errno to stderr, then exits with `status`. */
void die(int status, const char *format, ...) __attribute__((noreturn, format(printf, 2, 3)));

/* The exit statuses that systemd gives to the same failures, systemd.exec(5). */
enum {
	EXIT_CHDIR = 200,
	EXIT_EXEC = 203,
	EXIT_LIMITS = 205,
	EXIT_STDIN = 208,
	EXIT_STDOUT = 209,
	EXIT_GROUP = 216,
	EXIT_USER = 217,
	EXIT_CAPABILITIES = 218,
	EXIT_NAMESPACE = 226,
	EXIT_NO_NEW_PRIVILEGES = 227,
	EXIT_SECCOMP = 228,
	EXIT_SELINUX = 229,
	EXIT_APPARMOR = 231,
};

/* devices.c: mounts an own /dev in the directory `root`. */
void make_devices(int root);

/* app-root.c: a mount namespace of its own whose root is the app's. */
void enter_app_root(const struct spec *spec);

/* forward-output.c: makes descriptors 1 and 2 pipes whose bytes reach what they were before. */
void forward_output(const struct spec *spec, const char *app);

/*
 * confine.c: everything from groups to the system call filter, then the program, which argv names unless it is an open
 * descriptor. Never returns.
 */
#define NO_PROGRAM (-1)
void confine_and_exec(const struct spec *spec, int filter_dir, const struct list *argv, int program);

/* rlimits.c: what a process may use. */
void set_rlimits(const struct spec *spec);

/* filter.c: what no process of an app may do, then what its isolators say. */
void install_process_filter(int filter_dir);
void install_filters(const struct spec *spec, int filter_dir);

#endif
