#define _GNU_SOURCE
#include "streams.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Read by stage1/guest/launch.c. */
#define DIRECTORY "/run/rkt"
#define KEEPER DIRECTORY "/keeper"

/* Like the keeper of stage1-nspawn/guest/init.c. */
static void keep(const int ends[3])
{
	sigset_t none;

	prctl(PR_SET_NAME, "stdio-keeper");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int i = 0; i < 3; i++)
		if (dup2(ends[i], i) < 0)
			_exit(1);
	syscall(SYS_close_range, 3, ~0u, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (;;)
		pause();
}

static bool offer_pipes(const int ends[3])
{
	int ready[2];
	char byte;

	if (pipe2(ready, O_CLOEXEC) < 0)
		return false;
	pid_t keeper = fork();
	if (keeper == 0)
		keep(ends);
	close(ready[1]);
	/* Its end tells that the keeper has closed everything else, and so has taken its place. */
	bool kept = keeper > 0 && read(ready[0], &byte, 1) == 0;
	close(ready[0]);
	mkdir(DIRECTORY, 0700);
	FILE *file = kept ? fopen(KEEPER, "we") : NULL;
	if (!file)
		return false;
	bool written = fprintf(file, "%d\n", keeper) > 0;
	return fclose(file) == 0 && written;
}

/* One end stays open here: without any, the kernel would take the terminal for hung up. */
static bool offer_terminal(int end)
{
	char name[64];

	return ttyname_r(end, name, sizeof name) == 0 && mount(name, "/dev/console", NULL, MS_BIND, NULL) == 0 &&
	       fcntl(end, F_DUPFD_CLOEXEC, 3) >= 0;
}

bool streams_offer(bool terminal, const int ends[3])
{
	return terminal ? offer_terminal(ends[0]) : offer_pipes(ends);
}
