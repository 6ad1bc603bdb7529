import type { Syscall } from "../lib/syscall/syscall.ts";
import { RKT_VERSION } from "../lib/version.ts";
import type { ReadManifests, Stage1Context } from "./entrypoints.ts";

/** stage0's system calls when it is of this release: loading the addon a second time takes 4 ms. */
export async function syscallOf({ shared }: Stage1Context): Promise<Syscall> {
	if (shared?.version === RKT_VERSION) return shared.syscall;
	const { createLinuxSyscall } = await import("../lib/syscall/linux.ts");
	return createLinuxSyscall();
}

/** The manifests that stage0 of this release read and wrote; undefined when they have to be read from the pod. */
export function sharedManifests({ shared }: Stage1Context): ReadManifests | undefined {
	return shared?.version === RKT_VERSION ? shared.manifests : undefined;
}
