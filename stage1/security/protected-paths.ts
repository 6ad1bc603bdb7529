/*
 * What an app may not see or change below /proc and /sys, beyond what nspawn protects (pod.md section 4.8 of the
 * reference) and what OCI runtimes hide. A path that does not exist is skipped.
 */

export const READ_ONLY_PATHS: readonly string[] = [
	"/proc/bus",
	"/proc/fs",
	"/proc/irq",
	"/proc/sys/kernel/core_pattern",
	"/proc/sys/kernel/modprobe",
	"/proc/sys/vm/panic_on_oom",
	"/proc/sysrq-trigger",
	"/sys/block",
	"/sys/bus",
	"/sys/class",
	"/sys/dev",
	"/sys/devices",
	"/sys/kernel",
];

export const HIDDEN_PATHS: readonly string[] = [
	"/proc/acpi",
	"/proc/asound",
	"/proc/config.gz",
	"/proc/interrupts",
	"/proc/kallsyms",
	"/proc/kcore",
	"/proc/keys",
	"/proc/key-users",
	"/proc/kmem",
	"/proc/kpagecgroup",
	"/proc/kpagecount",
	"/proc/kpageflags",
	"/proc/latency_stats",
	"/proc/mem",
	"/proc/pagetypeinfo",
	"/proc/sched_debug",
	"/proc/scsi",
	"/proc/slabinfo",
	"/proc/timer_list",
	"/proc/timer_stats",
	"/proc/vmallocinfo",
	"/sys/firmware",
	"/sys/fs",
	"/sys/hypervisor",
	"/sys/kernel/debug",
	"/sys/kernel/security",
	"/sys/kernel/tracing",
	"/sys/module",
	"/sys/power",
];
