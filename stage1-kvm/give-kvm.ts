import * as fs from "node:fs";
import * as path from "node:path";
import { MS_BIND, type Syscall } from "../lib/syscall/syscall.ts";
import { describeDevice, makeDeviceNode } from "../stage1/volumes/device-node.ts";

const DEVICE = "/dev/kvm";

/** A user who is in no group of the host may open the device all the same, in the mount namespace of the pod only. */
export function giveKvm(
	{ syscall }: { syscall: Syscall },
	{ deviceNodes, user }: { deviceNodes: string; user: number },
): void {
	const stat = fs.statSync(DEVICE, { throwIfNoEntry: false });
	if (!stat?.isCharacterDevice()) return;
	const node = path.join(deviceNodes, "kvm");
	makeDeviceNode(syscall, node, describeDevice(stat), { uid: user, gid: 0, mode: 0o600 });
	syscall.mount(node, DEVICE, "", MS_BIND, "");
}
