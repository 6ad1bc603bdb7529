import { fail } from "../lib/errors.ts";
import { type FlagKinds, parseGoFlags } from "./go-flags.ts";

export type ResolvMode = "default" | "host" | "stage0" | "none";
export type HostsMode = "default" | "host" | "stage0";
export type IpcMode = "auto" | "private" | "parent";

/** Who writes /etc/resolv.conf and /etc/hosts of the apps (network.md section 5 of the reference). */
export interface DnsConfMode {
	readonly resolv: ResolvMode;
	readonly hosts: HostsMode;
}

/** What stage0 tells the `run` entry point. */
export interface RunOptions {
	readonly uuid: string;
	readonly debug?: boolean | undefined;
	/** The list as given to --net; "default" when the user gave none. */
	readonly net: string;
	readonly interactive?: boolean | undefined;
	/** `SHIFT:COUNT`. */
	readonly privateUsers?: string | undefined;
	readonly mdsToken?: string | undefined;
	readonly localConfig?: string | undefined;
	readonly hostname?: string | undefined;
	readonly dnsConfMode?: DnsConfMode | undefined;
	readonly disableCapabilities?: boolean | undefined;
	readonly disablePaths?: boolean | undefined;
	readonly disableSeccomp?: boolean | undefined;
	readonly mutable?: boolean | undefined;
	readonly ipc?: IpcMode | undefined;
}

export interface BuiltArguments {
	/** Without argv[0]. */
	readonly argv: string[];
	/** One line for each option that the stage1 is too old to understand. */
	readonly warnings: string[];
}

const RUN_FLAGS: FlagKinds = {
	debug: "boolean",
	net: "string",
	interactive: "boolean",
	"private-users": "string",
	"mds-token": "string",
	"local-config": "string",
	hostname: "string",
	"dns-conf-mode": "string",
	"disable-capabilities-restriction": "boolean",
	"disable-paths": "boolean",
	"disable-seccomp": "boolean",
	mutable: "boolean",
	ipc: "string",
};

/**
 * The argument list of `run` in the order that rkt's stage0 uses, with the options left out that a stage1 of
 * this interface version does not know.
 */
export function buildRunArguments(options: RunOptions, interfaceVersion: number): BuiltArguments {
	const argv: string[] = [];
	const warnings: string[] = [];
	const add = (condition: unknown, argument: string): void => {
		if (condition) argv.push(argument);
	};
	const addSince = (version: number, condition: unknown, argument: string): void => {
		if (!condition) return;
		if (interfaceVersion >= version) argv.push(argument);
		else warnings.push(tooOld(argument, version, interfaceVersion));
	};
	add(options.debug, "--debug");
	argv.push(`--net=${options.net}`);
	add(options.interactive, "--interactive");
	add(options.privateUsers, `--private-users=${options.privateUsers}`);
	add(options.mdsToken, `--mds-token=${options.mdsToken}`);
	add(options.localConfig, `--local-config=${options.localConfig}`);
	addSince(2, options.hostname, `--hostname=${options.hostname}`);
	const mode = options.dnsConfMode;
	const special = mode && (mode.resolv !== "default" || mode.hosts !== "default");
	addSince(4, special, `--dns-conf-mode=resolv=${mode?.resolv},hosts=${mode?.hosts}`);
	addSince(3, options.disableCapabilities, "--disable-capabilities-restriction");
	addSince(3, options.disablePaths, "--disable-paths");
	addSince(3, options.disableSeccomp, "--disable-seccomp");
	addSince(5, options.mutable, "--mutable");
	addSince(6, options.ipc, `--ipc=${options.ipc}`);
	argv.push(options.uuid);
	return { argv, warnings };
}

/** Reads what {@link buildRunArguments} wrote. Errors: `stage1-arguments-invalid`. */
export function parseRunArguments(argv: readonly string[]): RunOptions {
	const { flags, rest } = parseGoFlags(argv, RUN_FLAGS);
	return {
		uuid: onlyUuid(rest),
		debug: flags.debug === true,
		net: text(flags.net) ?? "default",
		interactive: flags.interactive === true,
		privateUsers: text(flags["private-users"]),
		mdsToken: text(flags["mds-token"]),
		localConfig: text(flags["local-config"]),
		hostname: text(flags.hostname),
		dnsConfMode: parseDnsConfMode(text(flags["dns-conf-mode"])),
		disableCapabilities: flags["disable-capabilities-restriction"] === true,
		disablePaths: flags["disable-paths"] === true,
		disableSeccomp: flags["disable-seccomp"] === true,
		mutable: flags.mutable === true,
		ipc: oneOf("ipc", text(flags.ipc), ["auto", "private", "parent"] as const),
	};
}

/** What stage0 tells the `enter` entry point. */
export interface EnterOptions {
	/** PID 1 of the pod as the host sees it. */
	readonly pid: number;
	readonly app: string;
	readonly command: readonly string[];
	/** The command is stage1's own probe of the isolation, of which this gives the arguments alone. */
	readonly probe?: boolean | undefined;
}

export function buildEnterArguments(options: EnterOptions): string[] {
	const probe = options.probe ? ["--isolation-probe"] : [];
	return [`--pid=${options.pid}`, `--appname=${options.app}`, ...probe, "--", ...options.command];
}

/** Errors: `stage1-arguments-invalid`. */
export function parseEnterArguments(argv: readonly string[]): EnterOptions {
	const kinds = { pid: "string", appname: "string", "isolation-probe": "boolean" } as const;
	const { flags, rest } = parseGoFlags(argv, kinds);
	const pid = text(flags.pid) ?? "";
	if (!/^[1-9][0-9]{0,9}$/.test(pid)) fail("stage1-arguments-invalid", `--pid is no process id: "${pid}"`);
	if (rest.length === 0) fail("stage1-arguments-invalid", "enter needs a command after --");
	const probe = flags["isolation-probe"] === true ? { probe: true } : {};
	return { pid: Number(pid), app: text(flags.appname) ?? "", command: rest, ...probe };
}

/** What stage0 tells the `gc` entry point. */
export interface GcOptions {
	readonly uuid: string;
	readonly debug?: boolean | undefined;
	readonly localConfig?: string | undefined;
}

/** `--local-config` is two words and exists since version 5. */
export function buildGcArguments(options: GcOptions, interfaceVersion: number): string[] {
	const local = options.localConfig && interfaceVersion >= 5 ? ["--local-config", options.localConfig] : [];
	return [...(options.debug ? ["--debug"] : []), ...local, options.uuid];
}

/** Errors: `stage1-arguments-invalid`. */
export function parseGcArguments(argv: readonly string[]): GcOptions {
	const { flags, rest } = parseGoFlags(argv, { debug: "boolean", "local-config": "string" });
	return { uuid: onlyUuid(rest), debug: flags.debug === true, localConfig: text(flags["local-config"]) };
}

/** What stage0 tells the `stop` entry point. */
export interface StopOptions {
	readonly uuid: string;
	readonly force?: boolean | undefined;
}

export function buildStopArguments(options: StopOptions): string[] {
	return [...(options.force ? ["--force"] : []), options.uuid];
}

/** Errors: `stage1-arguments-invalid`. */
export function parseStopArguments(argv: readonly string[]): StopOptions {
	const { flags, rest } = parseGoFlags(argv, { force: "boolean", debug: "boolean" });
	return { uuid: onlyUuid(rest), force: flags.force === true };
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

function onlyUuid(rest: readonly string[]): string {
	if (rest.length === 1 && UUID.test(rest[0] as string)) return rest[0] as string;
	return fail("stage1-arguments-invalid", `expected one pod UUID, got: ${rest.join(" ") || "nothing"}`);
}

function text(value: string | boolean | undefined): string | undefined {
	return typeof value === "string" && value !== "" ? value : undefined;
}

function oneOf<T extends string>(
	flag: string,
	value: string | undefined,
	allowed: readonly T[],
): T | undefined {
	if (value === undefined) return undefined;
	const found = allowed.find((candidate) => candidate === value);
	return found ?? fail("stage1-arguments-invalid", `--${flag}=${value}: expected ${allowed.join(", ")}`);
}

function parseDnsConfMode(value: string | undefined): DnsConfMode {
	const fields = new Map((value ?? "").split(",").map((part) => part.split("=", 2) as [string, string]));
	const resolv = ["default", "host", "stage0", "none"] as const;
	return {
		resolv: oneOf("dns-conf-mode", fields.get("resolv"), resolv) ?? "default",
		hosts: oneOf("dns-conf-mode", fields.get("hosts"), ["default", "host", "stage0"] as const) ?? "default",
	};
}

function tooOld(argument: string, needed: number, has: number): string {
	return `${argument} is ignored: the stage1 image has interface version ${has}, it needs ${needed}`;
}
