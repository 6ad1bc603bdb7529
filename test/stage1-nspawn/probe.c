/* Tries what an app must not be able to do; prints "NAME ERRNO-TEXT" or "NAME allowed" for each. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

static void report(const char *name, long result)
{
	printf("%s %s\n", name, result < 0 ? strerrorname_np(errno) : "allowed");
}

static long try_open(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);
	if (fd >= 0)
		close(fd);
	return fd;
}

static long try_disk(void)
{
	if (mknod("/disk", S_IFBLK | 0600, makedev(254, 0)) < 0)
		return -1;
	long result = try_open("/disk", O_RDONLY);
	int error = errno;
	unlink("/disk");
	errno = error;
	return result;
}

#ifdef __x86_64__
/* The table of 32-bit programs. */
static long call32(long number, long a, long b, long c)
{
	long result;
	__asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c) : "memory", "r8", "r9", "r10", "r11");
	if (result >= 0)
		return result;
	errno = (int)-result;
	return -1;
}
#endif

/* Tells systemd that the app is ready, sd_notify(3). */
static int notify(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *path = getenv("NOTIFY_SOCKET");
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	if (!path)
		return puts("no socket"), 1;
	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	if (sendto(fd, "READY=1", 7, 0, (struct sockaddr *)&address, sizeof address) != 7)
		return perror("sendto"), 1;
	puts("notified");
	fflush(stdout);
	/* systemd asks the kernel whose message it was: the sender must still be there. */
	return pause();
}

int main(int argc, char **argv)
{
	(void)argv;
	if (argc > 1)
		return notify();
	report("socket-alg", socket(38, SOCK_SEQPACKET, 0));
	report("socket-alg-high-bits", syscall(SYS_socket, 0x100000000L + 38, (long)SOCK_SEQPACKET, 0L));
	report("socket-vsock", socket(40, SOCK_STREAM, 0));
	report("socket-audit", socket(AF_NETLINK, SOCK_RAW, 9));
	report("socket-inet", socket(AF_INET, SOCK_STREAM, 0));
	report("unshare-user", unshare(CLONE_NEWUSER));
	report("clone-user", syscall(SYS_clone, CLONE_NEWUSER | 17, 0, 0, 0, 0));
	report("clone3", syscall(SYS_clone3, NULL, 0));
	report("mount", mount("none", "/tmp", "tmpfs", 0, NULL));
	report("umount", umount("/proc/sys"));
	report("bpf", syscall(SYS_bpf, 0, NULL, 0));
	report("keyctl", syscall(SYS_keyctl, 0, 0, 0, 0, 0));
	report("ptrace", ptrace(PTRACE_TRACEME, 0, NULL, NULL));
	report("personality-ask", personality(0xffffffff));
	report("personality-read-implies-exec", personality(READ_IMPLIES_EXEC));
	report("io_uring", syscall(SYS_io_uring_setup, 1, NULL));
	report("userfaultfd", syscall(SYS_userfaultfd, 0));
	report("unknown-call", syscall(1000));
	report("open_by_handle_at", syscall(SYS_open_by_handle_at, 0, NULL, 0));
#ifdef __x86_64__
	report("getpid32", call32(20, 0, 0, 0));
	report("socketcall32", call32(102, 1, 0, 0));
	report("socket32-alg", call32(359, 38, SOCK_SEQPACKET, 0));
	report("unshare32", call32(310, CLONE_NEWUSER, 0, 0));
#endif
	report("disk", try_disk());
	report("root-of-stage1", try_open("/proc/1/root/rkt", O_RDONLY));
	report("environment-of-stage1", try_open("/proc/1/environ", O_RDONLY));
	report("core_pattern", try_open("/proc/sys/kernel/core_pattern", O_WRONLY));
	report("sysrq", try_open("/proc/sysrq-trigger", O_WRONLY));
	report("cgroup", try_open("/sys/fs/cgroup/cgroup.procs", O_WRONLY));
	report("sys-write", try_open("/sys/kernel/profiling", O_WRONLY));
	report("tun", try_open("/dev/net/tun", O_RDWR));
	report("remount-root", mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL));
	return 0;
}
