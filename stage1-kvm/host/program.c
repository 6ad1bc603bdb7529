#define _GNU_SOURCE
#include "program.h"

#include "failure.h"
#include "jail.h"
#include "machine-root.h"
#include "privileges.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* It reads nothing: the guest's console takes no input, and a hypervisor would change the modes of a terminal. */
static void set_streams(int output)
{
	int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (nothing < 0 || dup2(nothing, 0) < 0)
		die("/dev/null");
	if (output < 0)
		return;
	dup2(output, 1);
	dup2(output, 2);
}

/* Only the child comes back; the namespace, whose first process this is, ends with it. */
static void be_init(void)
{
	pid_t program = fork(), ended;
	int status = 0;

	if (program == 0)
		return;
	syscall(SYS_close_range, 0, ~0u, 0);
	while (program > 0 && (ended = wait(&status)) != program && (ended > 0 || errno == EINTR))
		;
	_exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : FAILED);
}

static void execv_in_jail(char **words)
{
	char path[PATH_MAX];

	snprintf(path, sizeof path, JAIL_PROGRAMS "/%s", basename(words[0]));
	execv(path, words);
}

/* Locked by the monitor for as long as it lives: what it starts does not inherit the lock, fcntl(2). */
static int monitor_lives = -1;

static void show_life(void)
{
	struct flock all = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (monitor_lives >= 0)
		return;
	monitor_lives = memfd_create("monitor", MFD_CLOEXEC);
	if (monitor_lives < 0 || fcntl(monitor_lives, F_SETLK, &all) < 0)
		die("lock");
}

/* False when the monitor has ended already, which the kernel would not say any more. A process loses its locks before that. */
static bool die_with_monitor(void)
{
	struct flock found = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	return prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && fcntl(monitor_lives, F_GETLK, &found) == 0 &&
	       found.l_type != F_UNLCK;
}

/* In the new process. */
static void __attribute__((noreturn)) become(const struct program *program, char **words, const struct passed *passed)
{
	const struct rights *rights = &program->rights;
	sigset_t kept;

	if (!die_with_monitor() || !leave_machine_root())
		_exit(FAILED);
	const char *failed = rights->jail ? enter_jail(words[0], rights->user == 0) : NULL;
	if (failed)
		die(failed);
	if (program->init)
		be_init();
	setsid();
	set_streams(program->output);
	if (!drop_privileges(rights->user, rights->capabilities))
		die("privileges");
	/* Another user's process is asked again, privileges.h. */
	if (!program->init && !die_with_monitor())
		_exit(FAILED);
	if (!passed_take(passed))
		die("descriptors");
	/* Sent to all processes of a unit or a terminal, these would end the guest before it can end in order. */
	sigemptyset(&kept);
	sigaddset(&kept, SIGTERM);
	sigaddset(&kept, SIGINT);
	sigaddset(&kept, SIGHUP);
	sigprocmask(SIG_SETMASK, &kept, NULL);
	signal(SIGPIPE, SIG_DFL);
	unsetenv("NOTIFY_SOCKET");
	/* QEMU looks for its files beside where it is. */
	execv(words[0], words);
	if (rights->jail)
		execv_in_jail(words);
	die(words[0]);
}

pid_t start_program(const struct program *program, const struct passed *passed)
{
	char **words = calloc((size_t)program->count + 1, sizeof *words);

	if (!words)
		die("memory");
	memcpy(words, program->words, (size_t)program->count * sizeof *words);
	show_life();
	pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0);
	if (pid < 0)
		die("clone");
	if (pid == 0)
		become(program, words, passed);
	free(words);
	return pid;
}
