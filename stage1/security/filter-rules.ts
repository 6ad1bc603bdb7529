import { defaultAllowedCalls, defaultDeniedCalls } from "./call-sets.ts";

/*
 * The rules of the filters that are made when the stage1 image is built, in the language of stage1/guest/make-filter.c.
 */

const EPERM = 1;
const ENOSYS = 38;

/**
 * What no process of a pod may call, systemd as PID 1 included: the machine's clock, modules, kexec, swap,
 * accounting, raw I/O, the kernel's log and key rings, tracing and io_uring, and what is obsolete.
 */
const DENIED_TO_PODS = `
	acct add_key adjtimex afs_syscall bdflush break clock_adjtime clock_adjtime64 clock_settime clock_settime64
	create_module delete_module fanotify_init finit_module ftime get_kernel_syms getpmsg gtty idle init_module io_uring_enter
	io_uring_register io_uring_setup ioperm iopl kexec_file_load kexec_load keyctl lock lookup_dcookie mpx
	nfsservctl open_by_handle_at pciconfig_iobase pciconfig_read pciconfig_write perf_event_open prof profil putpmsg
	query_module quotactl quotactl_fd request_key security settimeofday sgetmask ssetmask stime stty
	swapoff swapon sysfs _sysctl syslog tuxcall ulimit uselib userfaultfd ustat vm86 vm86old vserver
`;

/** Calls that libseccomp does not know yet answer ENOSYS, as on an older kernel. */
export function baselineRules(): string {
	const denied = DENIED_TO_PODS.trim()
		.split(/\s+/)
		.map((call) => `${EPERM} ${call}`);
	return rules(`default ${ENOSYS}`, "known allow", ...denied);
}

/** The default allow-list; what is known and not on it answers EPERM, what is unknown ENOSYS. */
export function defaultRules(): string {
	return rules(
		`default ${ENOSYS}`,
		`known ${EPERM}`,
		...defaultAllowedCalls().map((call) => `allow ${call}`),
		...["clone3", "io_uring_setup", "io_uring_enter", "io_uring_register"].map((call) => `${ENOSYS} ${call}`),
		...defaultDeniedCalls().map((call) => `${EPERM} ${call}`),
	);
}

function rules(...lines: string[]): string {
	return `${lines.join("\n")}\n`;
}
