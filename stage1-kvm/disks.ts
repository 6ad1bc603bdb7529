import * as path from "node:path";
import { fail } from "../lib/errors.ts";
import type { Syscall } from "../lib/syscall/syscall.ts";
import type { Pod } from "../stage1/pod.ts";
import { type AppDevice, type AppUnit, diskName } from "../stage1/units/app-unit.ts";
import { makeDeviceNode } from "../stage1/volumes/device-node.ts";
import type { Disk } from "./hypervisors/hypervisor.ts";

interface AppDevices {
	readonly unit: Pick<AppUnit, "app">;
	readonly devices: readonly AppDevice[];
}

/** User-Mode Linux has no more. */
const MOST = 16;

/**
 * The disks of a machine: each block device that an app has as a volume, once, and only to be read when no app may write.
 * Hypervisors get nodes of our own in place of the paths that somebody chose, which could hold what separates options.
 * Errors: `own-kernel-refuses`.
 */
export function machineDisks(
	{ syscall, pod }: { syscall: Syscall; pod: Pick<Pod, "directory"> },
	{ apps, deviceNodes }: { apps: readonly AppDevices[]; deviceNodes: string },
): Disk[] {
	const all = apps.flatMap(blockDevices);
	const names = [...new Set(all.map(diskName))];
	if (names.length > MOST) {
		fail(
			"own-kernel-refuses",
			`the pod has ${names.length} disks as volumes, a virtual machine at most ${MOST}`,
			{
				hint: "make several pods of it, or use --stage1-image=nspawn",
			},
		);
	}
	return names.map((name) => {
		const devices = all.filter((device) => diskName(device) === name);
		const node = path.join(deviceNodes, name);
		makeDeviceNode(syscall, node, devices[0] as AppDevice, { uid: 0, gid: 0, mode: 0o600 });
		const readOnly = devices.every((device) => device.readOnly);
		return { name, node: path.relative(pod.directory, node), readOnly };
	});
}

function blockDevices({ unit, devices }: AppDevices): readonly AppDevice[] {
	if (devices.every(({ kind }) => kind === "block")) return devices;
	return fail(
		"own-kernel-refuses",
		`app ${unit.app}: a character device as a volume is not possible in a virtual machine: only the host's kernel can drive it`,
		{ hint: "leave it out, or use --stage1-image=nspawn" },
	);
}
