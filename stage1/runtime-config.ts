import { replaceFile } from "../lib/files.ts";
import type { RunOptions } from "./arguments.ts";
import { runtimeConfigPath } from "./pod-paths.ts";

/** Records what `run` was told, in the form that rkt's stage1 uses. Not for others: it may hold the metadata token. */
export function writeRuntimeConfig(pod: string, options: RunOptions): void {
	const config = {
		MetadataServiceURL: "",
		PrivateUsers: options.privateUsers ?? "",
		MDSToken: options.mdsToken ?? "",
		Hostname: options.hostname ?? "",
		Debug: options.debug ?? false,
		Mutable: options.mutable ?? false,
		ResolvConfMode: options.dnsConfMode?.resolv ?? "default",
		EtcHostsMode: options.dnsConfMode?.hosts ?? "default",
		NetList: {},
		Interactive: options.interactive ?? false,
		InsecureOptions: {
			DisablePaths: options.disablePaths ?? false,
			DisableCapabilities: options.disableCapabilities ?? false,
			DisableSeccomp: options.disableSeccomp ?? false,
		},
		IPCMode: options.ipc ?? "",
	};
	replaceFile(runtimeConfigPath(pod), `${JSON.stringify(config)}\n`, 0o600);
}
