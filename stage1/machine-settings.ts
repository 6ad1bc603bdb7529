import { parseQuantity, quantityBytes } from "../appc/types/quantity.ts";
import { fail } from "../lib/errors.ts";

/**
 * What an administrator says of the size of virtual machines, by its name in the configuration, and the variable that hands
 * it to stage1: memory that an app without a limit counts for, memory that the guest itself needs, and processors of a pod
 * in which an app has no limit.
 */
export const MACHINE_SETTINGS = {
	memory: "RKT_KVM_MEMORY",
	overhead: "RKT_KVM_OVERHEAD",
	cpus: "RKT_KVM_CPUS",
} as const;

export type MachineSetting = keyof typeof MACHINE_SETTINGS;

export const MACHINE_SETTING_NAMES = Object.keys(MACHINE_SETTINGS) as MachineSetting[];

const MIB = 1024n * 1024n;

/** The value in MiB or processors; `label` is for the message. Errors: `machine-setting-invalid`. */
export function parseMachineSetting(name: MachineSetting, text: string, label: string): number {
	const value = name !== "cpus" ? mebibytes(text) : /^[0-9]+$/.test(text) ? Number(text) : Number.NaN;
	const most = name === "cpus" ? 9999 : 2 ** 31;
	if (Number.isInteger(value) && value >= 1 && value <= most) return value;
	return fail("machine-setting-invalid", `${label} cannot be ${JSON.stringify(text)}`, {
		hint: name === "cpus" ? "write a number from 1 on" : "write an amount of memory such as 512Mi",
	});
}

/** Rounded up; NaN for what is no amount. */
function mebibytes(text: string): number {
	try {
		return Number((quantityBytes(parseQuantity(text)) + MIB - 1n) / MIB);
	} catch {
		return Number.NaN;
	}
}
