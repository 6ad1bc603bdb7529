import { messageOf } from "../../lib/errors.ts";
import type { Network, PluginConfig } from "./config.ts";
import { type PluginResult, parseResult, ResultError } from "./plugin-result.ts";
import { failed, type PluginCall, runPlugin } from "./plugins.ts";
import type { NetworkContext } from "./types.ts";

/** One network of one pod. */
export interface Attachment {
	readonly network: Network;
	readonly ifName: string;
	/** CNI_ARGS. */
	readonly args: string;
	/** Path of the pod's namespace; "" when it is gone. */
	readonly namespace: string;
	readonly lockFd: number;
}

/**
 * Runs ADD of each plugin of the network, each with the result of the one before it.
 * Errors: `network-plugin-failed`.
 */
export function attach(context: NetworkContext, attachment: Attachment): PluginResult {
	let result: PluginResult | undefined;
	for (const config of attachment.network.plugins) {
		const call = { ...callOf(attachment, config), command: "ADD" as const, prevResult: result?.raw };
		result = resultOf(call, runPlugin(context, call));
	}
	return result as PluginResult;
}

/** Runs DEL in reverse order and goes on after a failure. Gives what failed. */
export function detach(context: NetworkContext, attachment: Attachment, added: unknown): unknown[] {
	const prevResult = takesPrevResult(attachment.network.cniVersion) ? added : undefined;
	const problems: unknown[] = [];
	for (const config of [...attachment.network.plugins].reverse()) {
		try {
			runPlugin(context, { ...callOf(attachment, config), command: "DEL", prevResult });
		} catch (error) {
			problems.push(error);
		}
	}
	return problems;
}

function callOf(attachment: Attachment, config: PluginConfig): Omit<PluginCall, "command" | "prevResult"> {
	const { network, ifName, args, namespace, lockFd } = attachment;
	const { name: networkName, cniVersion } = network;
	return { networkName, cniVersion, config, ifName, args, namespace, lockFd };
}

function resultOf(call: PluginCall, output: string): PluginResult {
	try {
		return parseResult(output);
	} catch (error) {
		if (!(error instanceof ResultError)) throw error;
		return failed(call, messageOf(error));
	}
}

/** DEL gets the result of ADD since version 0.4.0 of the specification. */
function takesPrevResult(cniVersion: string): boolean {
	const [major = 0, minor = 0] = cniVersion.split(".").map(Number);
	return major > 0 || minor >= 4;
}
