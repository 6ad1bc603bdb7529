import { fail } from "../../lib/errors.ts";
import { parseQuantity, quantityBytes, quantityMilli } from "../types/quantity.ts";
import { type Isolator, isolatorValues } from "./isolators.ts";

/** What an app's isolators come to. Every member is absent when no isolator asks for it. */
export interface AppLimits {
	/** Bytes. */
	readonly memoryLimit?: bigint;
	readonly memoryRequest?: bigint;
	/** Thousandths of a core. */
	readonly cpuLimit?: bigint;
	readonly cpuRequest?: bigint;
	readonly cpuShares?: number;
	readonly pidsLimit?: bigint;
	readonly oomScoreAdjust?: number;
	/** `CAP_…` names without repetition. */
	readonly capabilities?: { readonly mode: "retain" | "remove"; readonly set: readonly string[] };
	readonly seccomp?: {
		readonly mode: "retain" | "remove";
		readonly set: readonly string[];
		/** Name of the error instead of a kill. */
		readonly errno?: string;
	};
	readonly noNewPrivileges?: boolean;
	readonly selinuxContext?: {
		readonly user: string;
		readonly role: string;
		readonly type: string;
		readonly level: string;
	};
	readonly apparmorProfile?: string;
	readonly sysctls?: Readonly<Record<string, string>>;
	/** By the name of getrlimit(2) without `RLIMIT_`. */
	readonly rlimits?: Readonly<Record<string, ResourceLimit>>;
	/** Bytes a second of each block device, in each direction. */
	readonly blockBandwidth?: bigint;
	/** Operations a second of each block device, in each direction. */
	readonly blockIops?: bigint;
	/** Names of isolators that the kernel interface of this program has no use for. */
	readonly unused: readonly string[];
}

/** Undefined is no limit. */
export interface ResourceLimit {
	readonly soft: number | undefined;
	readonly hard: number | undefined;
}

const UNUSED = ["resource/network-bandwidth"];

/**
 * Reads the isolators of an app (pod.md §6). Of memory, cpu, pids and no-new-privileges the last one counts,
 * capability sets of one kind are united. Errors: `isolators-conflict` when capabilities are both retained and removed.
 */
export function readIsolators(isolators: readonly Isolator[]): AppLimits {
	const memory = isolatorValues(isolators, "resource/memory").at(-1);
	const cpu = isolatorValues(isolators, "resource/cpu").at(-1);
	return present({
		memoryLimit: bytes(memory?.limit),
		memoryRequest: bytes(memory?.request),
		cpuLimit: milli(cpu?.limit),
		cpuRequest: milli(cpu?.request),
		cpuShares: isolatorValues(isolators, "os/linux/cpu-shares").at(-1),
		pidsLimit: bytes(isolatorValues(isolators, "resource/pids").at(-1)?.limit),
		oomScoreAdjust: isolatorValues(isolators, "os/linux/oom-score-adj").at(-1),
		capabilities: readCapabilities(isolators),
		seccomp: readSeccomp(isolators),
		noNewPrivileges: isolatorValues(isolators, "os/linux/no-new-privileges").at(-1),
		selinuxContext: isolatorValues(isolators, "os/linux/selinux-context").at(-1),
		apparmorProfile: isolatorValues(isolators, "os/linux/apparmor-profile").at(-1)?.profile,
		sysctls: isolatorValues(isolators, "os/unix/sysctl").at(-1),
		rlimits: readResourceLimits(isolators),
		blockBandwidth: bytes(isolatorValues(isolators, "resource/block-bandwidth").at(-1)?.limit),
		blockIops: bytes(isolatorValues(isolators, "resource/block-iops").at(-1)?.limit),
		unused: isolators.map(({ name }) => name).filter((name) => UNUSED.includes(name)),
	});
}

type Optional<T> = { [K in keyof T]: T[K] | undefined };

function present(limits: Optional<AppLimits>): AppLimits {
	return Object.fromEntries(
		Object.entries(limits).filter(([, value]) => value !== undefined),
	) as unknown as AppLimits;
}

function bytes(quantity: string | undefined): bigint | undefined {
	return quantity === undefined ? undefined : quantityBytes(parseQuantity(quantity));
}

function milli(quantity: string | undefined): bigint | undefined {
	return quantity === undefined ? undefined : quantityMilli(parseQuantity(quantity));
}

function readResourceLimits(isolators: readonly Isolator[]): AppLimits["rlimits"] {
	const limits = isolatorValues(isolators, "os/unix/rlimits").at(-1);
	if (limits === undefined) return undefined;
	const number = (limit: number | "unlimited"): number | undefined =>
		limit === "unlimited" ? undefined : limit;
	return Object.fromEntries(
		Object.entries(limits).map(([name, { soft, hard }]) => [
			name.replace("RLIMIT_", ""),
			{ soft: number(soft ?? hard), hard: number(hard) },
		]),
	);
}

function readCapabilities(isolators: readonly Isolator[]): AppLimits["capabilities"] {
	const retain = isolatorValues(isolators, "os/linux/capabilities-retain-set").flatMap(({ set }) => set);
	const remove = isolatorValues(isolators, "os/linux/capabilities-remove-set").flatMap(({ set }) => set);
	if (retain.length > 0 && remove.length > 0) {
		fail("isolators-conflict", "an app both retains and removes capabilities", {
			hint: "keep only one of os/linux/capabilities-retain-set and os/linux/capabilities-remove-set",
		});
	}
	if (retain.length > 0) return { mode: "retain", set: [...new Set(retain)] };
	return remove.length > 0 ? { mode: "remove", set: [...new Set(remove)] } : undefined;
}

function readSeccomp(isolators: readonly Isolator[]): AppLimits["seccomp"] {
	const retain = isolatorValues(isolators, "os/linux/seccomp-retain-set").at(-1);
	const filter = retain ?? isolatorValues(isolators, "os/linux/seccomp-remove-set").at(-1);
	if (filter === undefined) return undefined;
	return {
		mode: retain ? "retain" : "remove",
		set: filter.set,
		...(filter.errno === undefined ? {} : { errno: filter.errno }),
	};
}
