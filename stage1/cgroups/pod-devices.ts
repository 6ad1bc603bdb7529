import type { AppDevice } from "../units/app-unit.ts";

/** What may be done with a device: `r` and `w` open it, `m` makes a file for it. */
export interface DeviceRule {
	readonly kind: "char" | "block";
	readonly major: number;
	/** All of that major number when it is missing. */
	readonly minor?: number;
	readonly access: "rwm" | "rw" | "r" | "m";
}

const char = (major: number, minor?: number, access: DeviceRule["access"] = "rwm"): DeviceRule => ({
	kind: "char",
	major,
	...(minor === undefined ? {} : { minor }),
	access,
});

/**
 * What nspawn, systemd and apps open: null, zero, full, random, urandom, tty, console, ptmx, pseudo terminals; a tun
 * device may be made, as nspawn does, and be opened by an app that has it as a volume only.
 */
const BASE = [
	...[3, 5, 7, 8, 9].map((minor) => char(1, minor)),
	...[0, 1, 2].map((minor) => char(5, minor)),
	char(136),
	char(10, 200, "m"),
];

/** The devices of a pod: those that every pod has, and its volumes. */
export function podDevices(volumes: readonly AppDevice[]): DeviceRule[] {
	const own = volumes.map(
		({ readOnly, ...device }): DeviceRule => ({ ...device, access: readOnly ? "r" : "rw" }),
	);
	return [...BASE, ...own];
}
