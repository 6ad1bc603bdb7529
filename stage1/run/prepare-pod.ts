import * as fs from "node:fs";
import * as path from "node:path";
import { isDockerImage } from "../../appc/oci/oci-annotations.ts";
import { isErrno } from "../../lib/errors.ts";
import { mark } from "../../lib/trace.ts";
import { openAppRoot } from "../apps/app-root.ts";
import { type PreparedApp, prepareApp } from "../apps/prepare-app.ts";
import { createJournalDirectory, JOURNAL_SIZE_VARIABLE, writeJournalSize } from "../journal.ts";
import { metadataUrl } from "../metadata-url.ts";
import { hostResolvConf } from "../network/host-resolv-conf.ts";
import { writeNameFiles } from "../network/name-files.ts";
import { podHostname } from "../network/names.ts";
import type { NetworkResult } from "../network/types.ts";
import * as podPaths from "../pod-paths.ts";
import { writeRuntimeConfig } from "../runtime-config.ts";
import { mountInApp } from "../volumes/mount-volume.ts";
import { enterMountNamespace } from "./mount-namespace.ts";
import { enterPodNetwork } from "./pod-network.ts";
import type { RunContext } from "./run-context.ts";
import { writeApps } from "./write-apps.ts";

export interface PreparedPod {
	readonly hostname: string;
	readonly network: NetworkResult;
	readonly apps: readonly PreparedApp[];
	/** Directory that the pod does not see, for device files. */
	readonly deviceNodes: string;
}

/** Network, mounts, files and units. Synchronous: from here on the main thread is in other namespaces. */
export function preparePod(context: RunContext): PreparedPod {
	const { backend, syscall, options, pod, wayBack } = context;
	const { directory: podDirectory } = pod;
	const hostname = podHostname(options.uuid, options.hostname);
	writeRuntimeConfig(podDirectory, options);
	linkFlavor(podDirectory, backend.flavor);
	const network = enterPodNetwork(context);
	mark("stage1 network");
	const { sharedMemory, deviceNodes, leave } = enterMountNamespace(syscall, podDirectory);
	wayBack.unshift(leave);
	const modes = options.dnsConfMode ?? { resolv: "default", hosts: "default" };
	const hostFiles = writeNameFiles({
		...{ podDirectory, uuid: options.uuid, hostname, modes, dns: network.dns },
		resolvFallback: pod.apps.some(({ image }) => isDockerImage(image))
			? hostResolvConf(network.namespace !== undefined)
			: undefined,
	});
	mountJournal(context);
	mark("stage1 mounts");
	const url = metadataUrl(options.mdsToken, network.hostIP);
	const { ownKernel } = backend;
	const apps = pod.apps.map((podApp) =>
		prepareApp(
			{ ...context, ownKernel, sharedMemory, deviceNodes, hostFiles, hostname, metadataUrl: url },
			podApp,
		),
	);
	writeApps(context, apps);
	mark("stage1 apps");
	return { hostname, network, apps, deviceNodes };
}

function linkFlavor(pod: string, flavor: string): void {
	try {
		fs.symlinkSync(flavor, podPaths.flavorPath(pod));
	} catch (error) {
		if (!isErrno(error, "EEXIST")) throw error;
	}
}

function mountJournal({ syscall, pod, options, environment, shift }: RunContext): void {
	const size = environment[JOURNAL_SIZE_VARIABLE];
	if (size) writeJournalSize(podPaths.stage1Rootfs(pod.directory), size);
	const source = createJournalDirectory(options.uuid, shift);
	const root = openAppRoot(syscall, podPaths.stage1Rootfs(pod.directory), shift);
	const target = path.join("/var/log/journal", podPaths.machineId(options.uuid));
	const common = { name: "journal", readOnly: false, recursive: false, noExec: true };
	mountInApp(syscall, root, { ...common, source, target });
	root.close();
}
