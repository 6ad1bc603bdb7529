/* System calls that reach into the kernel, out of the pod or into other processes. */
#define _GNU_SOURCE
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define AF_ALG_FAMILY 38
#define AF_VSOCK_FAMILY 40
#define NETLINK_AUDIT_PROTOCOL 9
#define NEVER_A_CALL 1000

static long unshare_user(void) { return unshare(CLONE_NEWUSER); }
static long unshare_mount(void) { return unshare(CLONE_NEWNS); }
static long set_personality(void) { return personality(READ_IMPLIES_EXEC); }
static long trace_first(void) { return ptrace(PTRACE_SEIZE, 1, NULL, NULL); }
static long move_root(void) { return syscall(SYS_pivot_root, "/", "/"); }

static long clone_user(void)
{
	long result = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);

	if (result == 0)
		_exit(0);
	return result;
}

static long join_own_namespace(void)
{
	int fd = open("/proc/self/ns/uts", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -1 : setns(fd, 0);
}

static long mount_tmpfs(void)
{
	long result = mount("none", "/tmp", "tmpfs", 0, NULL);

	if (result == 0)
		umount2("/tmp", MNT_DETACH);
	return result;
}

static long remount_root(void)
{
	return mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL);
}

static long read_first(void)
{
	char byte;
	struct iovec local = { &byte, 1 }, remote = { (void *)0x400000, 1 };

	return process_vm_readv(1, &local, 1, &remote, 1, 0);
}

static long set_clock(void)
{
	/* No time: where it is not refused, it is invalid. */
	const struct timespec never = { .tv_nsec = -1 };

	return syscall(SYS_clock_settime, CLOCK_REALTIME, &never);
}

static void check_sockets(void)
{
	report_attempt("socket-alg", socket(AF_ALG_FAMILY, SOCK_SEQPACKET, 0));
	/* The kernel looks at 32 bits of what has 64. */
	report_attempt("socket-alg-high-bits",
	               syscall(SYS_socket, 0x100000000L + AF_ALG_FAMILY, (long)SOCK_SEQPACKET, 0L));
	report_attempt("socket-vsock", socket(AF_VSOCK_FAMILY, SOCK_STREAM, 0));
	report_attempt("socket-audit", socket(AF_NETLINK, SOCK_RAW, NETLINK_AUDIT_PROTOCOL));
	report_attempt("socket-raw", socket(AF_INET, SOCK_RAW, 255));
}

#ifdef __x86_64__
/* The table of 32-bit programs. */
static long call32(long number, long a, long b)
{
	long result;

	__asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(0) : "memory", "r8", "r9", "r10", "r11");
	if (result >= 0)
		return result;
	errno = (int)-result;
	return -1;
}

static long unshare_user32(void) { return call32(310, CLONE_NEWUSER, 0); }

static long has_calls32(void) { return call32(20, 0, 0) == getpid() ? 0 : -1; }

static void check_calls32(void)
{
	/* A kernel without them ends who tries, or takes the number for one of its own. */
	if (in_child(has_calls32) < 0) {
		report("call32-socketcall", true, "no such calls");
		report("call32-socket-alg", true, "no such calls");
		report("call32-unshare", true, "no such calls");
		return;
	}
	report_attempt("call32-socketcall", call32(102, 1, 0));
	report_attempt("call32-socket-alg", call32(359, AF_ALG_FAMILY, SOCK_SEQPACKET));
	report_attempt("call32-unshare", in_child(unshare_user32));
}
#else
static void check_calls32(void) {}
#endif

static void check_kernel(void)
{
	char byte;

	report_attempt("call-bpf", syscall(SYS_bpf, -1, NULL, 0));
	report_attempt("call-clock_settime", set_clock());
	report_attempt("call-init_module", syscall(SYS_init_module, NULL, 0, ""));
	report_attempt("call-io_uring_setup", syscall(SYS_io_uring_setup, 1, NULL));
	report_attempt("call-kexec_load", syscall(SYS_kexec_load, 0, 0, NULL, -1));
	report_attempt("call-keyctl", syscall(SYS_keyctl, 0, -3, 0, 0, 0));
	report_attempt("call-add_key", syscall(SYS_add_key, NULL, NULL, NULL, 0, -1));
	report_attempt("call-perf_event_open", syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0));
	/* Without the magic numbers nothing happens. */
	report_attempt("call-reboot", syscall(SYS_reboot, 0, 0, 0, NULL));
	report_attempt("call-swapon", syscall(SYS_swapon, NULL, 0));
	report_attempt("call-syslog", syscall(SYS_syslog, 3, &byte, 1));
	report_attempt("call-userfaultfd", syscall(SYS_userfaultfd, -1));
	report_attempt("call-unknown", syscall(NEVER_A_CALL));
}

static void check_processes(void)
{
	report_attempt("call-process_vm_readv", read_first());
	report_attempt("call-ptrace", in_child(trace_first));
	report_attempt("call-kcmp", syscall(SYS_kcmp, 1, 1, 0, 0, 0));
}

static void check_namespaces_and_mounts(void)
{
	report_attempt("call-unshare-user", in_child(unshare_user));
	report_attempt("call-unshare-mount", in_child(unshare_mount));
	report_attempt("call-clone-user", in_child(clone_user));
	report_attempt("call-clone3", syscall(SYS_clone3, NULL, 0));
	report_attempt("call-setns", in_child(join_own_namespace));
	report_attempt("call-mount", mount_tmpfs());
	report_attempt("call-remount", remount_root());
	report_attempt("call-umount", umount2("/proc/sys", MNT_DETACH | UMOUNT_NOFOLLOW));
	report_attempt("call-pivot_root", in_child(move_root));
	report_attempt("call-open_tree", syscall(SYS_open_tree, AT_FDCWD, "/", 1));
	report_attempt("call-fsopen", syscall(SYS_fsopen, "tmpfs", 0));
	report_attempt("call-open_by_handle_at", syscall(SYS_open_by_handle_at, 0, NULL, 0));
	report_attempt("call-personality", in_child(set_personality));
}

void probe_calls(void)
{
	check_sockets();
	check_kernel();
	check_processes();
	check_namespaces_and_mounts();
	check_calls32();
}
