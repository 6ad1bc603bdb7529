import * as fs from "node:fs";
import * as path from "node:path";
import { isErrno } from "../../lib/errors.ts";
import type { Syscall } from "../../lib/syscall/syscall.ts";
import { deviceProgram } from "./device-program.ts";
import type { Hierarchy } from "./hierarchies.ts";
import type { DeviceRule } from "./pod-devices.ts";

const REFUSED = ["EPERM", "EACCES", "EINVAL", "ENOSYS", "EOPNOTSUPP"];

/**
 * Lets the processes of a cgroup use only these devices. False where the kernel of version 2 has no programs for that, or
 * does not let us have one. Errors: those of write(2).
 */
export function restrictDevices(
	syscall: Syscall,
	version: Hierarchy["version"],
	directory: string,
	rules: readonly DeviceRule[],
): boolean {
	if (version === 2) return attachProgram(syscall, directory, rules);
	fs.writeFileSync(path.join(directory, "devices.deny"), "a");
	for (const rule of rules) fs.writeFileSync(path.join(directory, "devices.allow"), ruleText(rule));
	return true;
}

/** The form of devices.allow. */
function ruleText({ kind, major, minor, access }: DeviceRule): string {
	return `${kind === "block" ? "b" : "c"} ${major}:${minor ?? "*"} ${access}`;
}

/** Undefined where the kernel takes none. */
export function loadProgram(syscall: Syscall, rules: readonly DeviceRule[]): number | undefined {
	try {
		return syscall.loadDeviceProgram(deviceProgram(rules));
	} catch (error) {
		if (isErrno(error, ...REFUSED)) return undefined;
		throw error;
	}
}

function attachProgram(syscall: Syscall, directory: string, rules: readonly DeviceRule[]): boolean {
	const program = loadProgram(syscall, rules);
	if (program === undefined) return false;
	const cgroup = fs.openSync(directory, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
	try {
		syscall.attachDeviceProgram(cgroup, program);
		return true;
	} catch (error) {
		if (isErrno(error, ...REFUSED)) return false;
		throw error;
	} finally {
		fs.closeSync(cgroup);
		fs.closeSync(program);
	}
}
