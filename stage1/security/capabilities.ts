import type { AppLimits } from "../../appc/schema/app-isolators.ts";
import { fail } from "../../lib/errors.ts";

/** Every capability in the order of its number, linux/capability.h. */
const NAMES = `CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE
	NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE
	SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL
	SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE`
	.split(/\s+/)
	.map((name) => `CAP_${name}`);

/** What an app has when its isolators say nothing (pod.md section 6 of the reference). */
const DEFAULT =
	`AUDIT_WRITE CHOWN DAC_OVERRIDE FSETID FOWNER KILL MKNOD NET_RAW NET_BIND_SERVICE SETUID SETGID
	SETPCAP SETFCAP SYS_CHROOT`
		.split(/\s+/)
		.map((name) => `CAP_${name}`);

/**
 * The bounding set of an app by name, in the kernel's order. `restricted` is false with
 * --insecure-options=capabilities. Errors: `capability-unknown`.
 */
export function appCapabilities(capabilities: AppLimits["capabilities"], restricted = true): string[] {
	const named = capabilities?.set ?? [];
	for (const name of named) capabilityNumber(name);
	if (!restricted) return NAMES;
	if (capabilities === undefined) return inOrder(DEFAULT);
	if (capabilities.mode === "retain") return inOrder(named);
	return inOrder(DEFAULT.filter((name) => !named.includes(name)));
}

/** The set as the kernel's bit mask, in hexadecimal. */
export function capabilityMask(names: readonly string[]): string {
	return names.reduce((mask, name) => mask | (1n << BigInt(capabilityNumber(name))), 0n).toString(16);
}

function inOrder(names: readonly string[]): string[] {
	return NAMES.filter((name) => names.includes(name));
}

function capabilityNumber(name: string): number {
	const number = NAMES.indexOf(name);
	if (number >= 0) return number;
	return fail("capability-unknown", `the isolator names an unknown capability ${name}`, {
		hint: "capabilities(7) lists the names",
	});
}
