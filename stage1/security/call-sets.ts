/*
 * The named sets that the seccomp isolators may hold (pod.md section 6 of the reference), as words in text to keep
 * them readable. Names that this architecture lacks are skipped.
 */

/** What docker allowed in 2016, and rkt with it. */
const DOCKER_2016 = `
	accept accept4 access alarm bind brk capget capset chdir chmod chown chown32 clock_getres
	clock_gettime clock_nanosleep close connect copy_file_range creat dup dup2 dup3 epoll_create
	epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_wait epoll_wait_old eventfd eventfd2 execve
	execveat exit exit_group faccessat fadvise64 fadvise64_64 fallocate fanotify_mark fchdir fchmod
	fchmodat fchown fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr flistxattr flock fork fremovexattr
	fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futex futimesat getcpu
	getcwd getdents getdents64 getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32
	getitimer getpeername getpgid getpgrp getpid getppid getpriority getrandom getresgid getresgid32
	getresuid getresuid32 getrlimit get_robust_list getrusage getsid getsockname getsockopt
	get_thread_area gettid gettimeofday getuid getuid32 getxattr inotify_add_watch inotify_init
	inotify_init1 inotify_rm_watch io_cancel ioctl io_destroy io_getevents ioprio_get ioprio_set io_setup
	io_submit ipc kill lchown lchown32 lgetxattr link linkat listen listxattr llistxattr _llseek
	lremovexattr lseek lsetxattr lstat lstat64 madvise memfd_create mincore mkdir mkdirat mknod mknodat
	mlock mlock2 mlockall mmap mmap2 mprotect mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend
	mq_unlink mremap msgctl msgget msgrcv msgsnd msync munlock munlockall munmap nanosleep newfstatat
	_newselect open openat pause personality pipe pipe2 poll ppoll prctl pread64 preadv prlimit64 pselect6
	pwrite64 pwritev read readahead readlink readlinkat readv recv recvfrom recvmmsg recvmsg
	remap_file_pages removexattr rename renameat renameat2 restart_syscall rmdir rt_sigaction
	rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait
	rt_tgsigqueueinfo sched_getaffinity sched_getattr sched_getparam sched_get_priority_max
	sched_get_priority_min sched_getscheduler sched_rr_get_interval sched_setaffinity sched_setattr
	sched_setparam sched_setscheduler sched_yield seccomp select semctl semget semop semtimedop send
	sendfile sendfile64 sendmmsg sendmsg sendto setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32
	setgroups setgroups32 setitimer setpgid setpriority setregid setregid32 setresgid setresgid32
	setresuid setresuid32 setreuid setreuid32 setrlimit set_robust_list setsid setsockopt set_thread_area
	set_tid_address setuid setuid32 setxattr shmat shmctl shmdt shmget shutdown sigaltstack signalfd
	signalfd4 sigreturn socket socketcall socketpair splice stat stat64 statfs statfs64 symlink symlinkat
	sync sync_file_range syncfs sysinfo syslog tee tgkill time timer_create timer_delete timerfd_create
	timerfd_gettime timerfd_settime timer_getoverrun timer_gettime timer_settime times tkill truncate
	truncate64 ugetrlimit umask uname unlink unlinkat utime utimensat utimes vfork vmsplice wait4 waitid
	waitpid write writev arch_prctl modify_ldt chroot clone`;

/** What libraries and programs of today need beside that, without new power over the kernel. */
const NEWER = `
	cachestat clock_getres_time64 clock_nanosleep_time64 clock_gettime64 close_range epoll_pwait2
	faccessat2 fchmodat2 futex_requeue futex_time64 futex_wait futex_waitv futex_wake io_pgetevents
	io_pgetevents_time64 landlock_add_rule landlock_create_ruleset landlock_restrict_self map_shadow_stack
	membarrier memfd_secret mq_timedreceive_time64 mq_timedsend_time64 mseal openat2 pidfd_open
	pidfd_send_signal pkey_alloc pkey_free pkey_mprotect ppoll_time64 preadv2 process_mrelease
	pselect6_time64 pwritev2 recvmmsg_time64 riscv_hwprobe rseq rt_sigtimedwait_time64
	sched_rr_get_interval_time64 semtimedop_time64 sigaction sigpending sigprocmask sigsuspend statx
	timer_gettime64 timer_settime64 timerfd_gettime64 timerfd_settime64 utimensat_time64 arm_fadvise64_64
	arm_sync_file_range breakpoint cacheflush set_tls sync_file_range2`;

const DOCKER_DENIED = `
	acct add_key adjtimex bpf clock_adjtime clock_settime create_module delete_module finit_module
	get_kernel_syms get_mempolicy init_module ioperm iopl kcmp kexec_file_load kexec_load keyctl
	lookup_dcookie mbind mount move_pages name_to_handle_at nfsservctl open_by_handle_at perf_event_open
	pivot_root process_vm_readv process_vm_writev ptrace query_module quotactl reboot request_key
	set_mempolicy setns settimeofday stime swapon swapoff sysfs _sysctl umount umount2 unshare uselib
	userfaultfd ustat vm86 vm86old`;

/** The groups of systemd 252, systemd.exec(5); rkt's names for them lack the list's prefix. */
const SYSTEMD: Readonly<Record<string, string>> = {
	clock: `
		adjtimex clock_adjtime clock_adjtime64 clock_settime clock_settime64 settimeofday`,
	"default-whitelist": `
		arch_prctl brk cacheflush clock_getres clock_getres_time64 clock_gettime clock_gettime64
		clock_nanosleep clock_nanosleep_time64 execve exit exit_group futex futex_time64 futex_waitv
		get_robust_list get_thread_area getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups
		getgroups32 getpgid getpgrp getpid getppid getrandom getresgid getresgid32 getresuid getresuid32
		getrlimit getsid gettid gettimeofday getuid getuid32 membarrier mmap mmap2 mprotect munmap nanosleep
		pause prlimit64 restart_syscall riscv_flush_icache riscv_hwprobe rseq rt_sigreturn sched_getaffinity
		sched_yield set_robust_list set_thread_area set_tid_address set_tls sigreturn time ugetrlimit
		uretprobe`,
	mount: `
		chroot fsconfig fsmount fsopen fspick mount mount_setattr move_mount open_tree pivot_root umount
		umount2`,
	"network-io": `
		accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom recvmmsg
		recvmmsg_time64 recvmsg send sendmmsg sendmsg sendto setsockopt shutdown socket socketcall socketpair`,
	obsolete: `
		_sysctl afs_syscall bdflush break create_module ftime get_kernel_syms getpmsg gtty idle lock mpx prof
		profil putpmsg query_module security sgetmask ssetmask stime stty sysfs tuxcall ulimit uselib ustat
		vserver`,
	privileged: `
		_sysctl acct adjtimex bpf capset chown chown32 chroot clock_adjtime clock_adjtime64 clock_settime
		clock_settime64 delete_module fanotify_init fanotify_mark fchown fchown32 fchownat finit_module
		init_module ioperm iopl kexec_file_load kexec_load lchown lchown32 nfsservctl open_by_handle_at
		pciconfig_iobase pciconfig_read pciconfig_write pivot_root quotactl quotactl_fd reboot
		s390_pci_mmio_read s390_pci_mmio_write setdomainname setfsuid setfsuid32 setgroups setgroups32
		sethostname setresuid setresuid32 setreuid setreuid32 settimeofday setuid setuid32 swapoff swapon
		vhangup`,
	process: `
		capget clone clone3 execveat fork getrusage kill pidfd_open pidfd_send_signal prctl rt_sigqueueinfo
		rt_tgsigqueueinfo setns swapcontext tgkill times tkill unshare vfork wait4 waitid waitpid`,
	"raw-io": `
		ioperm iopl pciconfig_iobase pciconfig_read pciconfig_write s390_pci_mmio_read s390_pci_mmio_write`,
};

const words = (text: string): string[] => text.trim().split(/\s+/);

/** Calls that an app may make when its isolators say nothing. */
export const defaultAllowedCalls = (): string[] => [...words(DOCKER_2016), ...words(NEWER)];

/** Calls that exist and are refused: they answer EPERM and not ENOSYS, so that programs do not try a fallback. */
export const defaultDeniedCalls = (): string[] => words(DOCKER_DENIED);

/**
 * The members of a set `@domain/name`; undefined for a name that is not known. The two of appc.io stand for
 * every call and for none and have no members.
 */
export function callsOfSet(name: string): string[] | undefined {
	const systemd = /^@systemd\/(.+)$/.exec(name)?.[1];
	if (systemd !== undefined)
		return Object.hasOwn(SYSTEMD, systemd) ? words(SYSTEMD[systemd] as string) : undefined;
	if (/^@(docker|rkt)\/default-whitelist$/.test(name)) return defaultAllowedCalls();
	if (/^@(docker|rkt)\/default-blacklist$/.test(name)) return defaultDeniedCalls();
	return undefined;
}
