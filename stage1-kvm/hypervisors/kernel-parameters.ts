import { fail } from "../../lib/errors.ts";
import type { Disk } from "./hypervisor.ts";

/** As in rkt: more parameters for the kernel of the guest. */
const EXTRA_VARIABLE = "RKT_HYPERVISOR_EXTRA_KERNEL_PARAMS";
/** Letter of the first disk. */
const FIRST = "a".charCodeAt(0);

/** Messages of the level KERN_EMERG. */
const PANIC_ONLY = 1;

/**
 * What every guest kernel is told, kernel-parameters.txt of the kernel's documentation. `more` is what only this
 * machine is told; what the caller says comes last, so that it wins. Errors: `kernel-parameters-invalid` for a control character in what the caller says.
 */
export function kernelParameters(
	debug: boolean,
	environment: Readonly<Record<string, string>>,
	more: readonly string[] = [],
): readonly string[] {
	const extra = environment[EXTRA_VARIABLE] ?? "";
	// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not get in
	if (/[\u0000-\u001f\u007f]/.test(extra)) {
		fail("kernel-parameters-invalid", `${EXTRA_VARIABLE} holds a control character`, {
			hint: "separate the parameters by spaces",
		});
	}
	return [
		"init=/rkt/vm/init",
		"cgroup_no_v1=all",
		// journald shows the time of a line on the console when the kernel does.
		"printk.time=1",
		// systemd would look for a policy, and say that there is none.
		"lsm=capability",
		// What an app writes through a mapping of a volume reaches the host after a fifth of a second, not half a minute.
		"sysctl.vm.dirty_writeback_centisecs=20",
		"sysctl.vm.dirty_expire_centisecs=20",
		// A processor keeps a MiB of freed pages at hand, not a hundredth of the memory and more: the rest goes back to the host.
		"sysctl.vm.percpu_pagelist_high_fraction=1000",
		...(debug ? ["rkt.debug"] : ["quiet", `loglevel=${PANIC_ONLY}`]),
		...more,
		...extra.split(" ").filter((word) => word !== ""),
	];
}

/**
 * Tells the guest's init which of its devices is which disk, for example `rkt_disks=vda:7-0,vdb:7-16`. `prefix` is what
 * the guest's kernel calls its disks, in the order of the machine, with a letter each.
 */
export function diskParameters(disks: readonly Disk[], prefix: string): readonly string[] {
	if (disks.length === 0) return [];
	const names = disks.map(({ name }, index) => `${prefix}${String.fromCharCode(FIRST + index)}:${name}`);
	return [`rkt_disks=${names.join(",")}`];
}
