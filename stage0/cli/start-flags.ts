import type { IpcMode } from "../../stage1/arguments.ts";
import { SMALLEST_JOURNAL_SIZE } from "../../stage1/journal.ts";
import { checkHostname } from "../../stage1/network/names.ts";
import { formatNetList, type NetList, parseNetList } from "../../stage1/network/net-list.ts";
import { passedDescriptors } from "../../stage1/sockets/passed-sockets.ts";
import { parseJournalSize } from "../config/journal-size.ts";
import type { CommandContext } from "./command.ts";
import type { ParsedOptions } from "./parsed-options.ts";
import { conflict } from "./prepare-flags.ts";
import { type NameResolution, readNameResolution } from "./values/dns.ts";
import { invalidValue } from "./values/scalars.ts";

/** Everything that starting a pod is told, checked before anything is made. */
export interface StartFlags {
	/** The list as stage1 gets it. */
	readonly net: string;
	readonly resolution: NameResolution;
	readonly hostname: string | undefined;
	readonly interactive: boolean;
	readonly ipc: IpcMode | undefined;
	/** Bytes that the journal of the pod may occupy; undefined leaves it to the configuration. */
	readonly journalSize: bigint | undefined;
	/** The pod is to be registered with the metadata service. */
	readonly mdsRegister: boolean;
}

/**
 * Errors: `net-list-invalid`, `network-not-found`, `dns-invalid`, `hosts-entry-invalid`,
 * `hostname-invalid`, `flags-conflict`, `flag-value-invalid`, `quantity-invalid`.
 */
export async function readStartFlags(context: CommandContext, options: ParsedOptions): Promise<StartFlags> {
	const net = readNet(options);
	if (net.kind === "networks") {
		const { loadNetworks, selectNetworks } = await import("../../stage1/network/config.ts");
		selectNetworks(loadNetworks(context.globals.localConfig, context.log), net);
	}
	return {
		net: formatNetList(net),
		resolution: readNameResolution(options),
		hostname: checkHostname(options.text("hostname")),
		interactive: options.on("interactive"),
		ipc: readIpc(options.text("ipc")),
		journalSize: readJournalSize(options.text("journal-size")),
		mdsRegister: readMdsRegister(options, net),
	};
}

/** `--net`, or `--private-net` of rkt 0.8 when that is not given. */
function readNet(options: ParsedOptions): NetList {
	const old = options.list("private-net");
	if (old.length > 0 && options.given("net")) conflict("--net and --private-net exclude each other");
	return parseNetList(old.length > 0 ? old : options.list("net"));
}

/** Ports of the host lead nowhere without a network of the pod's own. Errors: `flags-conflict`. */
export function checkPortsHaveNetwork(
	ports: readonly unknown[],
	net: string,
	environment: Readonly<Record<string, string>>,
): void {
	if (ports.length === 0 || (net !== "none" && net !== "host")) return;
	// Sockets that systemd passed need no network: --port tells which is for which port.
	if (passedDescriptors(environment, process.pid).length > 0) return;
	conflict(`--port needs a network of the pod, it cannot be combined with --net=${net}`);
}

/** Errors: `flags-conflict`. */
export function checkInteractive(interactive: boolean, appCount: number): void {
	if (interactive && appCount > 1) conflict("--interactive is only for pods with one app");
}

function readMdsRegister(options: ParsedOptions, net: NetList): boolean {
	const register = options.on("mds-register");
	if (!register || net.kind !== "none") return register;
	return conflict("--mds-register needs a network, it cannot be combined with --net=none");
}

function readJournalSize(value: string): bigint | undefined {
	if (value === "") return undefined;
	const size = parseJournalSize(value);
	if (size !== undefined) return size;
	return invalidValue(
		"journal-size",
		value,
		`less than ${SMALLEST_JOURNAL_SIZE} bytes`,
		"write for example 64Mi",
	);
}

function readIpc(value: string): IpcMode | undefined {
	return value === "auto" || value === "private" || value === "parent" ? value : undefined;
}
