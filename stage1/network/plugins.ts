import * as fs from "node:fs";
import * as path from "node:path";
import { fail, isErrno } from "../../lib/errors.ts";
import { runCommand } from "../../lib/process.ts";
import type { Network, PluginConfig } from "./config.ts";
import { requireTrusted } from "./trusted-file.ts";
import type { NetworkContext } from "./types.ts";

const DEFAULT_TIMEOUT_MS = 60_000;
const MAX_OUTPUT_BYTES = 1024 * 1024;
/** Plugins call iptables and others, which a caller's PATH may lack. */
const SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Where plugins are searched, in order; also the CNI_PATH in which they find their address management. */
export function pluginDirectories(context: NetworkContext): string[] {
	const inStage1 = context.stage1Rootfs && path.join(context.stage1Rootfs, "usr/lib/rkt/plugins/net");
	return [
		path.join(context.localConfig, "net.d"),
		"/usr/lib/rkt/plugins/net",
		...(inStage1 ? [inStage1] : []),
		"/usr/lib/cni",
		"/opt/cni/bin",
	];
}

/** Errors: `network-plugin-missing`, `network-plugin-untrusted`. */
export function findPlugin(type: string, directories: readonly string[]): string {
	for (const directory of directories) {
		const file = path.join(directory, type);
		const stat = statIfExists(file);
		if (!stat?.isFile() || (stat.mode & 0o111) === 0) continue;
		requireTrusted(stat, file, "network-plugin-untrusted");
		return file;
	}
	return fail("network-plugin-missing", `no network plugin "${type}" in ${directories.join(", ")}`, {
		hint: "install the Debian package containernetworking-plugins",
	});
}

/** Finds every program that a network needs, before anything is done. */
export function requirePlugins(network: Network, directories: readonly string[]): void {
	for (const config of network.plugins) {
		findPlugin(config.type, directories);
		const ipam = (config.ipam as { type?: string } | null | undefined)?.type;
		if (ipam) findPlugin(ipam, directories);
	}
}

/** One call of one plugin (CNI specification, section 2). */
export interface PluginCall {
	readonly command: "ADD" | "DEL" | "CHECK";
	readonly networkName: string;
	readonly cniVersion: string;
	readonly config: PluginConfig;
	/** Path of the network namespace; it may be gone for DEL. */
	readonly namespace: string;
	readonly ifName: string;
	/** `K=V;K=V`, handed on as it is. */
	readonly args: string;
	/** What the chain has given so far. */
	readonly prevResult?: unknown;
	/** Held by the plugin as well, so that nobody undoes its work while it still runs. */
	readonly lockFd: number;
}

/**
 * Runs a plugin and gives what it printed. Its standard error is passed on.
 * Errors: `network-plugin-failed`, with the plugin's own message, its time or its output limit.
 */
export function runPlugin(context: NetworkContext, call: PluginCall): string {
	const directories = pluginDirectories(context);
	const timeoutMs = context.pluginTimeoutMs ?? DEFAULT_TIMEOUT_MS;
	const result = runCommand(findPlugin(call.config.type, directories), [], {
		input: JSON.stringify(pluginInput(call)),
		environment: pluginEnvironment(context, call, directories),
		cwd: "/",
		descriptors: [call.lockFd],
		inheritStderr: true,
		timeoutMs,
		maxOutputBytes: MAX_OUTPUT_BYTES,
	});
	if (result.killed === "timeout") failed(call, `did not end within ${timeoutMs} ms`);
	if (result.killed === "output-limit") failed(call, `printed more than ${MAX_OUTPUT_BYTES} bytes`);
	if (result.status !== 0) failed(call, explainFailure(result.status, result.stdout));
	return result.stdout;
}

/** The error of a call that did not do what it should. */
export function failed(call: PluginCall, reason: string): never {
	return fail(
		"network-plugin-failed",
		`network "${call.networkName}": plugin ${call.config.type} ${call.command}: ${reason}`,
		{ hint: "check the network's configuration in net.d and what the plugin wrote above" },
	);
}

function pluginInput(call: PluginCall): Record<string, unknown> {
	return {
		...call.config,
		name: call.networkName,
		cniVersion: call.cniVersion,
		...(call.prevResult === undefined ? {} : { prevResult: call.prevResult }),
	};
}

function pluginEnvironment(
	context: NetworkContext,
	call: PluginCall,
	directories: readonly string[],
): Record<string, string> {
	const { PATH } = process.env;
	return {
		...(process.env as Record<string, string>),
		PATH: PATH ? `${PATH}:${SYSTEM_PATH}` : SYSTEM_PATH,
		CNI_COMMAND: call.command,
		CNI_CONTAINERID: context.uuid,
		CNI_NETNS: call.namespace,
		CNI_IFNAME: call.ifName,
		CNI_ARGS: pluginArguments(call.args),
		CNI_PATH: directories.join(":"),
	};
}

/** Each plugin of a network reads all arguments, and would refuse those that are for another of them. */
function pluginArguments(args: string): string {
	return args === "" || /(^|;)IgnoreUnknown=/.test(args) ? args : `IgnoreUnknown=1;${args}`;
}

/** The error object of the specification, or the start of whatever else was printed. */
function explainFailure(status: number, stdout: string): string {
	try {
		const { code, msg, details } = JSON.parse(stdout) as Record<string, unknown>;
		if (typeof msg === "string") {
			const more = typeof details === "string" && details !== "" ? `; ${details}` : "";
			return printable(`${msg}${more} (code ${code})`);
		}
	} catch {}
	return `exit status ${status}${stdout === "" ? "" : `: ${printable(stdout)}`}`;
}

/** Plugins quote names and results: no control character of theirs reaches the terminal. */
function printable(text: string): string {
	return text
		.slice(0, 500)
		.replace(/\p{Cc}+/gu, " ")
		.trim();
}

function statIfExists(file: string): fs.Stats | undefined {
	try {
		return fs.statSync(file);
	} catch (error) {
		if (isErrno(error, "ENOENT", "ENOTDIR", "ELOOP")) return undefined;
		throw error;
	}
}
