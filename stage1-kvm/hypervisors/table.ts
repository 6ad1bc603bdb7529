import { fail } from "../../lib/errors.ts";
import type { Hypervisor } from "./hypervisor.ts";
import { lkvm } from "./lkvm.ts";
import { qemu } from "./qemu.ts";
import { uml } from "./uml.ts";

/** By the flavor of the stage1 image. */
const HYPERVISORS: ReadonlyMap<string, Hypervisor> = new Map([
	["kvm", qemu],
	["kvm-uml", uml],
	["kvm-lkvm", lkvm],
]);

export function findHypervisor(flavor: string): Hypervisor {
	return HYPERVISORS.get(flavor) ?? fail("hypervisor-missing", `no hypervisor is called "${flavor}"`);
}
