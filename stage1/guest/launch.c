/*
 * launch APP [pre-start|post-stop]: the only program that the unit of an app starts. It reads /rkt/spec/APP, builds
 * the app's view of the file system, confines itself and becomes the app or one of its hooks.
 */
#define _GNU_SOURCE
#include "spec.h"
#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

/* The first process of a pod that shares the host's kernel forks the keeper before anything else. */
#define KEEPER_PID 2
/* Where the pod has a kernel of its own, whose second process is another, its agent writes which one it is. */
#define KEEPER_FILE "/run/rkt/keeper"

static int keeper_pid(void)
{
	FILE *file = fopen(KEEPER_FILE, "re");
	int pid = KEEPER_PID;

	if (!file)
		return pid;
	if (fscanf(file, "%d", &pid) != 1)
		die(EXIT_STDIN, "cannot read %s", KEEPER_FILE);
	fclose(file);
	return pid;
}

static void take_stdio(void)
{
	int keeper = (int)syscall(SYS_pidfd_open, keeper_pid(), 0);

	if (keeper < 0)
		die(EXIT_STDIN, "cannot find the keeper of standard input");
	for (int fd = 0; fd < 3; fd++) {
		int copy = (int)syscall(SYS_pidfd_getfd, keeper, fd, 0);
		if (copy < 0 || dup2(copy, fd) < 0)
			die(EXIT_STDIN, "cannot take descriptor %d", fd);
		close(copy);
	}
	close(keeper);
}

/*
 * Lines reach the caller with a newline as the app wrote it, not with the carriage return that terminals want. systemd
 * resets the console when it starts, so this cannot be done earlier.
 */
static void make_console_plain(void)
{
	struct termios modes;
	int fd = open("/dev/console", O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (tcgetattr(fd, &modes) == 0) {
		modes.c_oflag &= ~(tcflag_t)ONLCR;
		tcsetattr(fd, TCSANOW, &modes);
	}
	close(fd);
}

/* A terminal belongs to the user of the app; what the keeper holds is the caller's and stays as it is. */
static void make_output_openable(const struct spec *spec, const char *app)
{
	if (spec->keeper_stdio)
		return;
	if (!isatty(1))
		forward_output(spec, app);
	else if (fchown(1, spec->uid, (gid_t)-1) < 0)
		die(EXIT_STDOUT, "cannot give the terminal to user %u", spec->uid);
}

static const struct list *select_command(const struct spec *spec, const char *what)
{
	if (!what)
		return &spec->arguments;
	if (!strcmp(what, "pre-start"))
		return &spec->pre_start;
	if (!strcmp(what, "post-stop"))
		return &spec->post_stop;
	errno = 0;
	die(1, "unknown hook %s", what);
}

int main(int argc, char **argv)
{
	struct spec spec;
	char path[512];

	if (argc < 2 || argc > 3 || strchr(argv[1], '/')) {
		errno = 0;
		die(1, "usage: launch APP [pre-start|post-stop]");
	}
	/* Until the new program is there, nobody in the pod may look into this process or at its executable. */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (argc == 2)
		trace(0, "app %s started", argv[1]);
	snprintf(path, sizeof path, "/rkt/spec/%s", argv[1]);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		die(1, "cannot open %s", path);
	spec_read(fd, &spec);
	const struct list *command = select_command(&spec, argc > 2 ? argv[2] : NULL);
	if (!command->count) {
		errno = 0;
		die(EXIT_EXEC, "%s has nothing to run", argv[1]);
	}
	int filters = open("/rkt/seccomp", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (filters < 0)
		die(EXIT_SECCOMP, "cannot open /rkt/seccomp");
	if (spec.keeper_stdio)
		take_stdio();
	else if (spec.plain_console)
		make_console_plain();
	if (!isatty(0))
		unsetenv("TERM");
	if (spec.open_output && argc == 2)
		make_output_openable(&spec, argv[1]);
	enter_app_root(&spec);
	confine_and_exec(&spec, filters, command, NO_PROGRAM);
}
