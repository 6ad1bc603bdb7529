import { messageOf } from "../../lib/errors.ts";
import { type DoctorHost, type Finding, missing, type Probe } from "./finding.ts";

/** The areas in the order in which they are shown; each probe is loaded when its turn comes. */
export const AREAS: Readonly<Record<string, () => Promise<Probe>>> = {
	kernel: async () => (await import("./kernel.ts")).probeKernel,
	namespaces: async () => (await import("./namespaces.ts")).probeNamespaces,
	"file system": async () => (await import("./file-system.ts")).probeFileSystem,
	cgroups: async () => (await import("./cgroups.ts")).probeCgroups,
	systemd: async () => (await import("./systemd.ts")).probeSystemd,
	network: async () => (await import("./network.ts")).probeNetwork,
	machines: async () => (await import("./machines.ts")).probeMachines,
	programs: async () => (await import("./programs.ts")).probePrograms,
	users: async () => (await import("./users.ts")).probeUsers,
	"security modules": async () => (await import("./security-modules.ts")).probeSecurityModules,
	configuration: async () => (await import("./configuration.ts")).probeConfiguration,
};

export interface AreaFindings {
	readonly area: string;
	readonly findings: readonly Finding[];
}

/** Every area, one after the other: some move this thread into other namespaces for a moment. */
export async function examine(host: DoctorHost, areas: typeof AREAS = AREAS): Promise<AreaFindings[]> {
	const results: AreaFindings[] = [];
	for (const [area, load] of Object.entries(areas))
		results.push({ area, findings: await findIn(host, area, load) });
	return results;
}

async function findIn(
	host: DoctorHost,
	area: string,
	load: () => Promise<Probe>,
): Promise<readonly Finding[]> {
	try {
		return await (await load())(host);
	} catch (error) {
		const remedy = "run it with --debug; if this machine is an ordinary one, report it as a bug of rkt";
		return [missing(area, `cannot be examined: ${messageOf(error)}`, remedy)];
	}
}
