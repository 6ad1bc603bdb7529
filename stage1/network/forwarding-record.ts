import * as fs from "node:fs";
import * as path from "node:path";
import * as z from "zod/mini";
import { fail } from "../../lib/errors.ts";
import { listDirectory, readTextIfExists, writeFileAtomic } from "../../lib/files.ts";
import { parseJson } from "../../lib/json.ts";

/** One file in the pod directory; pods without forwarded ports have none. */
const FILE_NAME = "port-forwarding.json";

const forwardedPort = z.object({
	protocol: z.enum(["tcp", "udp"]),
	hostIP: z.exactOptional(z.string()),
	hostPort: z.int(),
	podPort: z.int(),
});

const forwardingRecord = z.object({
	ports: z.array(forwardedPort),
	/** The network whose address the ports lead to, and the pod's interface in it. */
	networkName: z.string(),
	ifName: z.string(),
	/** The pod's address in that network with the prefix length. */
	podAddress: z.string(),
	/** The host's interface towards the pod. */
	hostInterface: z.string(),
	/** What its route_localnet was before any pod forwarded over it. */
	routeLocalnet: z.string(),
	/** The chains that all users of the plugin portmap share were not there before ours. */
	ownsSharedChains: z.boolean(),
});

/** What was done to the host for the forwarded ports of one pod; written before it is done. */
export type ForwardingRecord = z.infer<typeof forwardingRecord>;

export interface ForwardingPod {
	readonly podDirectory: string;
	readonly uuid: string;
	readonly record: ForwardingRecord;
}

/** Errors: `json-invalid`, `pod-record-invalid`. */
export function readForwardingRecord(podDirectory: string): ForwardingRecord | undefined {
	const file = path.join(podDirectory, FILE_NAME);
	const text = readTextIfExists(file);
	if (text === undefined) return undefined;
	const parsed = forwardingRecord.safeParse(parseJson(text, file));
	if (parsed.success) return parsed.data;
	return fail("pod-record-invalid", `${file} is no record of forwarded ports`, { cause: parsed.error });
}

export function writeForwardingRecord(podDirectory: string, record: ForwardingRecord): void {
	writeFileAtomic(path.join(podDirectory, FILE_NAME), JSON.stringify(record));
}

export function removeForwardingRecord(podDirectory: string): void {
	fs.rmSync(path.join(podDirectory, FILE_NAME), { force: true });
}

/** The other pods of the same data directory that forward ports: running, exited, or being collected. */
export function otherForwardingPods(podDirectory: string): ForwardingPod[] {
	const own = path.basename(podDirectory);
	const pods = path.dirname(path.dirname(podDirectory));
	const found: ForwardingPod[] = [];
	for (const state of ["run", "exited-garbage"]) {
		for (const uuid of listDirectory(path.join(pods, state))) {
			const directory = path.join(pods, state, uuid);
			const record = uuid === own ? undefined : readForwardingRecord(directory);
			if (record) found.push({ podDirectory: directory, uuid, record });
		}
	}
	return found;
}
