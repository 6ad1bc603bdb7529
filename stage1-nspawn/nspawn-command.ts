import { fail } from "../lib/errors.ts";
import { lstatIfExists } from "../lib/files.ts";
import type { RunOptions } from "../stage1/arguments.ts";
import { machineName, stage1Rootfs } from "../stage1/pod-paths.ts";
import type { AppStreams } from "../stage1/units/app-unit.ts";

export interface NspawnOptions {
	readonly pod: string;
	readonly options: RunOptions;
	readonly hostname: string;
	readonly streams: AppStreams;
	/** Names of capabilities that some app has. */
	readonly capabilities: readonly string[];
	/** machined is there and is to know the pod. */
	readonly register: boolean;
	/** Use the cgroup in which this process is. */
	readonly keepUnit: boolean;
	/** NIS domain name of the pod, setdomainname(2). */
	readonly domainName: string | undefined;
	/** systemd of the host waits for the pod to be ready. */
	readonly notifyReady: boolean;
	/** What a pod that is traced has to be told, NAME=VALUE. */
	readonly trace: string | undefined;
}

/** Arguments of systemd-nspawn, argv[0] included, systemd-nspawn(1). */
export function nspawnArguments(nspawn: NspawnOptions): string[] {
	const { options, streams } = nspawn;
	const consoles = { terminal: "interactive", keeper: "pipe", journal: "read-only" } as const;
	return [
		"systemd-nspawn",
		...(options.debug ? [] : ["--quiet"]),
		// Files of the host or of the image that are called like the machine are not ours.
		"--settings=no",
		"--resolv-conf=off",
		"--timezone=off",
		"--link-journal=no",
		`--register=${yesNo(nspawn.register)}`,
		...(nspawn.keepUnit ? ["--keep-unit"] : []),
		...(nspawn.notifyReady ? ["--notify-ready=yes"] : []),
		`--uuid=${options.uuid}`,
		`--machine=${machineName(options.uuid)}`,
		`--hostname=${nspawn.hostname}`,
		`--directory=${stage1Rootfs(nspawn.pod)}`,
		`--console=${consoles[streams]}`,
		`--capability=${options.disableCapabilities ? "all" : nspawn.capabilities.join(",")}`,
		...(options.privateUsers
			? [`--private-users=${options.privateUsers}`, "--private-users-ownership=off"]
			: []),
		...(nspawn.trace === undefined ? [] : [`--setenv=${nspawn.trace}`]),
		// The shim is PID 1 and becomes systemd; this is what --boot would send to end it gracefully.
		"--kill-signal=SIGRTMIN+3",
		"--",
		...initArguments(nspawn),
	];
}

function initArguments({ options, streams, domainName, trace }: NspawnOptions): string[] {
	const shim = [
		...(streams === "keeper" ? ["--keep-stdio"] : []),
		...(domainName === undefined ? [] : [`--domain-name=${domainName}`]),
	];
	const quiet = options.debug ? [] : ["--log-target=null", "--show-status=0"];
	// In a container systemd takes for its own arguments what the kernel's command line would say, kernel-command-line(7).
	const passedOn = trace === undefined ? [] : [`systemd.setenv=${trace}`];
	return ["/rkt/init", ...shim, ...quiet, ...passedOn];
}

/**
 * The environment of systemd-nspawn: the caller's, without what is meant for stage1. nspawn passes none of it on to
 * the pod but LISTEN_FDS and TERM. `ownIpc`: the caller is in the IPC namespace that the pod is to have.
 */
export function nspawnEnvironment(
	caller: Readonly<Record<string, string>>,
	options: RunOptions,
	ownIpc: boolean,
): Record<string, string> {
	const inherited = Object.entries(caller).filter(([name]) => !/^(RKT_|NODE_|SYSTEMD_)/.test(name));
	return {
		...Object.fromEntries(inherited),
		...(options.debug ? {} : { SYSTEMD_LOG_LEVEL: "err" }),
		// The directory is locked already, by stage0.
		SYSTEMD_NSPAWN_LOCK: "0",
		SYSTEMD_NSPAWN_CONTAINER_SERVICE: "rkt",
		// The shim installs a filter that was compiled beforehand; this saves 35 ms of a start.
		SYSTEMD_SECCOMP: "0",
		...(options.ipc === "parent" || ownIpc ? { SYSTEMD_NSPAWN_SHARE_NS_IPC: "true" } : {}),
		// nspawn refuses this with users of the pod's own, to whom the kernel gives no right there anyway.
		...(options.disablePaths && !options.privateUsers ? { SYSTEMD_NSPAWN_API_VFS_WRITABLE: "yes" } : {}),
	};
}

/** The program on the host. Errors: `nspawn-missing`. */
export function findNspawn(): string {
	const candidates = ["/usr/bin/systemd-nspawn", "/bin/systemd-nspawn", "/usr/local/bin/systemd-nspawn"];
	const found = candidates.find((candidate) => lstatIfExists(candidate) !== undefined);
	if (found) return found;
	return fail("nspawn-missing", "systemd-nspawn is not installed", {
		hint: "on Debian: apt-get install systemd-container",
	});
}

function yesNo(value: boolean): string {
	return value ? "yes" : "no";
}
