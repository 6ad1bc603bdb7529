import { fail } from "../lib/errors.ts";
import type { AppDevice, AppUnit } from "../stage1/units/app-unit.ts";

/**
 * An app may only read a device, and another of the same pod write it. Where no cgroup of its own restricts each app, the
 * first reaches the file of the second through /proc, as the same user. Errors: `device-not-read-only`.
 */
export function refuseReadAndWritten(
	apps: readonly { readonly unit: Pick<AppUnit, "app">; readonly devices: readonly AppDevice[] }[],
): void {
	const all = apps.flatMap(({ unit, devices }) => devices.map((device) => ({ ...device, app: unit.app })));
	for (const read of all.filter(({ readOnly }) => readOnly)) {
		const written = all.find(
			({ readOnly, kind, major, minor }) =>
				!readOnly && kind === read.kind && major === read.major && minor === read.minor,
		);
		if (written === undefined) continue;
		fail(
			"device-not-read-only",
			`app ${read.app}: the device ${read.major}:${read.minor} cannot be read-only, because app ${written.app} may write it and this host restricts no single app of a pod with --private-users`,
			{ hint: "leave out --private-users, or use two pods" },
		);
	}
}
