import * as fs from "node:fs";
import { CLONE_NEWNET } from "../../lib/syscall/syscall.ts";
import { enterNamespace } from "../network/namespace.ts";
import { parseNetList } from "../network/net-list.ts";
import { matchPorts } from "../network/ports.ts";
import { setUpNetwork } from "../network/set-up.ts";
import type { NetworkResult } from "../network/types.ts";
import { ownStage1Root } from "./own-files.ts";
import { localConfig, type RunContext } from "./run-context.ts";

/** Makes the pod's network and enters its namespace: nspawn takes the one it is started in. */
export function enterPodNetwork(context: RunContext): NetworkResult {
	const { syscall, log, pod, options, sockets } = context;
	const owners = pod.apps.map(({ name, app }) => ({ name, ports: app.ports }));
	const network = setUpNetwork({
		...{ syscall, podDirectory: pod.directory, uuid: options.uuid, localConfig: localConfig(options) },
		log: log.withPrefix("networking"),
		stage1Rootfs: ownStage1Root(pod.directory),
		net: parseNetList([options.net]),
		ports: matchPorts(sockets.forwarded, owners),
		unprivilegedPorts: options.privateUsers !== undefined,
	});
	if (network.namespace !== undefined) {
		const host = fs.openSync("/proc/thread-self/ns/net", fs.constants.O_RDONLY);
		enterNamespace(syscall, network.namespace);
		context.wayBack.unshift(() => syscall.setns(host, CLONE_NEWNET));
	}
	return network;
}
