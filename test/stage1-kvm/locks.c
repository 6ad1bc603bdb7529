/*
 * locks FILE: of each kind of lock, what a process gets that tries for one that another holds, and that waits for it. One
 * line each: KIND TRIED WAITED.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct {
	const char *name;
	int now, wait;
} kinds[] = { { "flock", -1, -1 }, { "fcntl", F_SETLK, F_SETLKW }, { "ofd", F_OFD_SETLK, F_OFD_SETLKW } };

static const char *lock(int fd, size_t kind, int wait)
{
	struct flock range = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 10 };
	int result = kind == 0 ? flock(fd, wait ? LOCK_EX : LOCK_EX | LOCK_NB) :
				 fcntl(fd, wait ? kinds[kind].wait : kinds[kind].now, &range);

	return result < 0 ? strerrorname_np(errno) : "locked";
}

int main(int argc, char **argv)
{
	for (size_t kind = 0; kind < sizeof kinds / sizeof *kinds; kind++) {
		int ends[2], fd = open(argv[argc - 1], O_CREAT | O_RDWR | O_CLOEXEC, 0600);
		char byte;
		if (fd < 0 || pipe(ends) < 0)
			return 1;
		if (fork() == 0) {
			/* A lock of flock(2) is of the open file. */
			int own = open(argv[argc - 1], O_RDWR);
			const char *got = lock(own, kind, 1);
			if (write(ends[1], got, 1) < 0)
				_exit(1);
			usleep(500 * 1000);
			_exit(0);
		}
		close(ends[1]);
		if (read(ends[0], &byte, 1) != 1)
			return 1;
		const char *tried = lock(fd, kind, 0);
		const char *waited = lock(fd, kind, 1);
		printf("%s %s %s\n", kinds[kind].name, tried, waited);
		close(fd);
		wait(NULL);
	}
	return 0;
}
