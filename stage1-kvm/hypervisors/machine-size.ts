import * as os from "node:os";
import type { AppLimits } from "../../appc/schema/app-isolators.ts";
import { fail } from "../../lib/errors.ts";
import { MACHINE_SETTINGS, type MachineSetting, parseMachineSetting } from "../../stage1/machine-settings.ts";

const LEAST_MIB = 256;
const MIB = 1024n * 1024n;
/** The guest's kernel keeps a record of 64 bytes for each page of 4096. */
const PAGES_PER_PAGE_OF_RECORDS = 64;

type Limits = Pick<AppLimits, "memoryLimit" | "cpuLimit">;

/** In MiB and processors. */
export type MachineSettings = Readonly<Record<MachineSetting, number>>;

/**
 * What the administrator or the caller says, in variables. Else 512 MiB for each app without a limit, because a guest
 * cannot grow when it needs more, 120 MiB for its kernel, systemd and journald, and all processors of the host, as in rkt.
 * Errors: `machine-setting-invalid`.
 */
export function readMachineSettings(environment: Readonly<Record<string, string>>): MachineSettings {
	const read = (name: MachineSetting, otherwise: number): number => {
		const variable = MACHINE_SETTINGS[name];
		const text = environment[variable];
		return text ? parseMachineSetting(name, text, variable) : otherwise;
	};
	return {
		memory: read("memory", 512),
		overhead: read("overhead", 120),
		cpus: read("cpus", os.availableParallelism()),
	};
}

/**
 * Processors and memory of a machine, from the limits of its apps: the sum, memory with what the guest itself needs and the
 * records that its kernel keeps of all of that.
 * Errors: `machine-too-large` for more memory than the `hostMemory` bytes that there are.
 */
export function machineSize(
	apps: readonly Limits[],
	settings: MachineSettings,
	hostMemory: number = os.totalmem(),
): { cpus: number; memoryMiB: number } {
	const memory = apps.map(({ memoryLimit }) =>
		memoryLimit === undefined ? settings.memory : Number((memoryLimit + MIB - 1n) / MIB),
	);
	const sum = memory.reduce((total, one) => total + one, settings.overhead);
	const all = os.availableParallelism();
	const limited = apps.every(({ cpuLimit }) => cpuLimit !== undefined);
	const thousandths = apps.reduce((total, { cpuLimit }) => total + (cpuLimit ?? 0n), 0n);
	const wanted = limited ? Math.max(1, Number((thousandths + 999n) / 1000n)) : settings.cpus;
	const cpus = Math.min(all, wanted);
	const withRecords = Math.ceil((sum * PAGES_PER_PAGE_OF_RECORDS) / (PAGES_PER_PAGE_OF_RECORDS - 1));
	const memoryMiB = Math.max(LEAST_MIB, withRecords);
	const hostMiB = Math.floor(hostMemory / Number(MIB));
	if (memoryMiB > hostMiB) {
		fail(
			"machine-too-large",
			`the virtual machine needs ${memoryMiB} MiB of memory, the host has ${hostMiB}`,
			{
				hint: "give the apps smaller resource/memory limits, with --memory or in their images, or say less with RKT_KVM_MEMORY or in kvm.d",
			},
		);
	}
	return { cpus, memoryMiB };
}
