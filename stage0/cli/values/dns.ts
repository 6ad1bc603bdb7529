import type { HostsMode, ResolvMode } from "../../../stage1/arguments.ts";
import { readHostsEntries } from "../../../stage1/network/hosts.ts";
import { readDnsFlags } from "../../../stage1/network/resolv-conf.ts";
import type { ParsedOptions } from "../parsed-options.ts";

/** What --dns, --dns-search, --dns-opt, --dns-domain and --hosts-entry ask for. */
export interface NameResolution {
	readonly resolv: ResolvMode;
	/** Content for resolv.conf when `resolv` is `stage0`. */
	readonly resolvConf: string;
	readonly hosts: HostsMode;
	/** Content for /etc/hosts when `hosts` is `stage0`. */
	readonly hostsFile: string;
}

/** Reads and checks the flags, before any pod exists. Errors: `dns-invalid`, `hosts-entry-invalid`. */
export function readNameResolution(options: ParsedOptions): NameResolution {
	const resolv = readDnsFlags({
		dns: options.list("dns"),
		search: options.list("dns-search"),
		options: options.list("dns-opt"),
		domain: options.text("dns-domain"),
	});
	const hosts = readHostsEntries(options.list("hosts-entry"));
	return {
		resolv: resolv.mode,
		resolvConf: resolv.content ?? "",
		hosts: hosts.mode,
		hostsFile: hosts.content ?? "",
	};
}
