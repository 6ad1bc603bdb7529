import * as fs from "node:fs";
import { listDirectory } from "../../lib/files.ts";

/*
 * What an app may not see or change below /proc and /sys: what rkt protects (pod.md section 4.8 of the reference) and
 * what OCI runtimes do. A path that does not exist is skipped.
 */

export const READ_ONLY_PATHS: readonly string[] = [
	"/proc/bus",
	"/proc/fs",
	"/proc/irq",
	"/proc/sys",
	"/proc/sysrq-trigger",
	"/sys",
];

const HIDDEN_PATHS: readonly string[] = [
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
	"/sys/devices/virtual/powercap",
	"/sys/firmware",
	"/sys/fs",
	"/sys/hypervisor",
	"/sys/kernel/debug",
	"/sys/kernel/security",
	"/sys/kernel/tracing",
	"/sys/module",
	"/sys/power",
];

const PROCESSORS = "/sys/devices/system/cpu";

/** How often a processor was too hot tells pods of one machine about each other. */
function thermalCounters(): string[] {
	return listDirectory(PROCESSORS)
		.filter((name) => /^cpu[0-9]+$/.test(name))
		.map((name) => `${PROCESSORS}/${name}/thermal_throttle`)
		.filter((directory) => fs.existsSync(directory));
}

/** What an app finds empty. A kernel of the pod's own counts no heat. */
export function hiddenPaths(ownKernel: boolean): readonly string[] {
	return ownKernel ? HIDDEN_PATHS : [...HIDDEN_PATHS, ...thermalCounters()];
}
