import type { Syscall } from "../../lib/syscall/syscall.ts";

/** What is known before anything of a pod is made. */
export interface Host {
	/** Directory with the kernel and what else came with the stage1 image; no pod can write there. */
	readonly programs: string;
	/** The caller's, for variables that configure hypervisors. */
	readonly environment: Readonly<Record<string, string>>;
	readonly syscall: Syscall;
}

/** A card of the guest, joined to a tap device in the pod's network namespace. */
export interface Nic {
	readonly tap: string;
	readonly mac: string;
	readonly mtu: number;
}

/** A block device of the host that the machine has. */
export interface Disk {
	/** Numbers of the device on the host, by which the guest knows it: digits and a hyphen. */
	readonly name: string;
	/** Path relative to the working directory, without anything that means something to a hypervisor. */
	readonly node: string;
	readonly readOnly: boolean;
}

/** The machine that a pod gets. */
export interface Machine extends Pick<Host, "programs" | "environment"> {
	readonly uuid: string;
	/** Absolute path on the host of what becomes the root of the guest. */
	readonly root: string;
	readonly cpus: number;
	readonly memoryMiB: number;
	readonly nics: readonly Nic[];
	readonly disks: readonly Disk[];
	readonly debug: boolean;
	/** What only this guest's kernel is told. */
	readonly parameters: readonly string[];
}

/**
 * What a hypervisor may do on the host, beside what it got opened. It is in a root of its own, stage1-kvm/host/jail.h, where
 * its working directory is {@link WORKING_DIRECTORY}.
 */
export interface Rights {
	/** A user of its own: {@link machineUser}. undefined: root, with the capabilities and no others. */
	readonly user: number | undefined;
	/** Bits of capabilities(7). */
	readonly capabilities: bigint;
}

/** What the monitor starts; the first word of each is the program. */
export interface MachineCommand {
	/**
	 * Serves the files of the guest on the listening socket that is descriptor 3. Empty when the hypervisor does it itself.
	 */
	readonly helper: readonly string[];
	/** Descriptor 1 and 2 are for the guest's console and messages, 0 is empty. */
	readonly hypervisor: readonly string[];
	/**
	 * The guest's address in vsock(7), on which its agent comes for the control channel. undefined: descriptor 3 of the
	 * hypervisor is that channel.
	 */
	readonly cid: number | undefined;
	/** What the monitor opens for the hypervisor, stage1-kvm/host/passed.h: the descriptors after the two above. */
	readonly passed: readonly string[];
	readonly rights: Rights;
	/** Descriptor 4 of the hypervisor speaks QMP and says when the guest was stopped. */
	readonly qmp: boolean;
	/**
	 * Where User-Mode Linux listens, relative to its root: it is asked to give the host what its guest does not need any
	 * more. undefined: the hypervisor does that by itself, or cannot.
	 */
	readonly mconsole: string | undefined;
	/** The hypervisor ends itself by a signal, which the first process of a namespace cannot. */
	readonly init: boolean;
	readonly environment: Readonly<Record<string, string>>;
}

/** One way to run a guest; `table.ts` lists them. */
export interface Hypervisor {
	/**
	 * Looks for the programs and for what they need of the host, and gives what works out how to start a machine with
	 * them. Errors: `hypervisor-missing`, `hypervisor-unusable`, `environment-invalid`.
	 */
	find(host: Host): (machine: Machine) => MachineCommand;
}

/** There stage1/rootfs is the root that the guest gets, for a hypervisor that is root. */
export const WORKING_DIRECTORY = "/pod";

/**
 * A user that nobody else on the host is: numbers from 0x70000000 on belong to no range that systemd or shadow hand out
 * (systemd, docs/UIDS-GIDS). Random, as the UUID is.
 */
export function machineUser(uuid: string): number {
	return 0x7000_0000 + Number.parseInt(uuid.slice(0, 7), 16);
}
