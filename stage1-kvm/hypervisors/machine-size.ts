import * as os from "node:os";
import type { AppLimits } from "../../appc/schema/app-isolators.ts";
import { fail } from "../../lib/errors.ts";

/** What the kernel, systemd and journald of the guest need beside the apps. */
const OVERHEAD_MIB = 96;
const LEAST_MIB = 256;
/** For each app without a limit: a guest cannot grow when it needs more. */
const UNLIMITED_MIB = 512;
const MIB = 1024n * 1024n;

type Limits = Pick<AppLimits, "memoryLimit" | "cpuLimit">;

/**
 * Processors and memory of a machine, from the limits of its apps: the sum, memory with what the guest itself needs.
 * Without a limit a pod gets all processors of the host, as in rkt. Errors: `machine-too-large` for more memory than
 * the `hostMemory` bytes that there are.
 */
export function machineSize(
	apps: readonly Limits[],
	hostMemory: number = os.totalmem(),
): { cpus: number; memoryMiB: number } {
	const memory = apps.map(({ memoryLimit }) =>
		memoryLimit === undefined ? UNLIMITED_MIB : Number((memoryLimit + MIB - 1n) / MIB),
	);
	const sum = memory.reduce((total, one) => total + one, OVERHEAD_MIB);
	const all = os.availableParallelism();
	const limited = apps.every(({ cpuLimit }) => cpuLimit !== undefined);
	const thousandths = apps.reduce((total, { cpuLimit }) => total + (cpuLimit ?? 0n), 0n);
	const cpus = limited ? Math.min(all, Math.max(1, Number((thousandths + 999n) / 1000n))) : all;
	const memoryMiB = Math.max(LEAST_MIB, sum);
	const hostMiB = Math.floor(hostMemory / Number(MIB));
	if (memoryMiB > hostMiB) {
		fail(
			"machine-too-large",
			`the virtual machine needs ${memoryMiB} MiB of memory, the host has ${hostMiB}`,
			{
				hint: "give the apps a smaller resource/memory limit, with --memory or in their images",
			},
		);
	}
	return { cpus, memoryMiB };
}
