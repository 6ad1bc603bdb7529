import type { AppDevice } from "../units/app-unit.ts";

/**
 * What nspawn, systemd and apps open, in the form of devices.allow (cgroup v1): null, zero, full, random, urandom, tty,
 * console, ptmx, pseudo terminals; a tun device may be made, as nspawn does, and be opened by an app that has it as a
 * volume only.
 */
const BASE = [
	...["c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm", "c 1:8 rwm", "c 1:9 rwm"],
	...["c 5:0 rwm", "c 5:1 rwm", "c 5:2 rwm", "c 136:* rwm", "c 10:200 m"],
];

/** The devices of a pod: those that every pod has, and its volumes. */
export function podDevices(volumes: readonly AppDevice[]): string[] {
	const own = volumes.map(({ kind, major, minor, readOnly }) => {
		return `${kind === "block" ? "b" : "c"} ${major}:${minor} ${readOnly ? "r" : "rw"}`;
	});
	return [...BASE, ...own];
}
