import * as fs from "node:fs";
import * as path from "node:path";
import { isErrno } from "../../lib/errors.ts";
import { randomSuffix, readTextIfExists } from "../../lib/files.ts";
import type { DnsConfMode } from "../arguments.ts";
import * as podPaths from "../pod-paths.ts";
import { addHostname, HOSTS_FALLBACK } from "./hosts.ts";
import { resolvConfOfNetwork } from "./resolv-conf.ts";
import type { NetworkDns } from "./types.ts";

export interface NameFilesOptions {
	readonly podDirectory: string;
	readonly uuid: string;
	/** Checked by `podHostname`. */
	readonly hostname: string;
	readonly modes: DnsConfMode;
	readonly dns: NetworkDns | undefined;
	/** The resolv.conf of docker images, unless something decides about those of all apps. */
	readonly resolvFallback?: string | undefined;
}

/** A file of the host that apps are to see, read-only, at a path of the pod's root. */
export interface HostFile {
	readonly source: string;
	readonly target: string;
}

/**
 * Writes what names the pod and its network into the root of stage1: etc/hostname, etc/machine-id,
 * etc/hosts-fallback, and etc/rkt-resolv.conf and etc/rkt-hosts when something other than the image decides.
 * stage0 has written its own versions of the last two for the modes `stage0`. Gives the host's files for the
 * modes `host`: the target exists, and the backend binds or copies.
 */
export function writeNameFiles(options: NameFilesOptions): HostFile[] {
	const { podDirectory, hostname, modes } = options;
	const etc = podPaths.inStage1(podDirectory, "/etc");
	makeDirectory(etc);
	const write = (guestPath: string, text: string): void => replaceFile(etc, path.basename(guestPath), text);
	write(podPaths.GUEST_HOSTNAME, `${hostname}\n`);
	write(podPaths.GUEST_MACHINE_ID, `${podPaths.machineId(options.uuid)}\n`);
	write(podPaths.GUEST_HOSTS_FALLBACK, addHostname(HOSTS_FALLBACK, hostname));
	if (modes.hosts === "stage0") {
		const own = readTextIfExists(path.join(etc, path.basename(podPaths.GUEST_HOSTS))) ?? HOSTS_FALLBACK;
		write(podPaths.GUEST_HOSTS, addHostname(own, hostname));
	}
	if (modes.resolv === "default" && options.dns) {
		write(podPaths.GUEST_RESOLV_CONF, resolvConfOfNetwork(options.dns));
	} else if (modes.resolv === "default" && options.resolvFallback !== undefined) {
		write(podPaths.GUEST_RESOLV_FALLBACK, options.resolvFallback);
	}
	const hostFiles: HostFile[] = [];
	const bind = (guestPath: string, source: string): void => {
		write(guestPath, "");
		hostFiles.push({ source, target: guestPath });
	};
	if (modes.hosts === "host") bind(podPaths.GUEST_HOSTS, hostFile("/etc/hosts"));
	if (modes.resolv === "host") bind(podPaths.GUEST_RESOLV_CONF, hostFile("/etc/resolv.conf"));
	return hostFiles;
}

/** Often a link into /run, which a bind mount does not follow inside the pod. */
function hostFile(file: string): string {
	try {
		return fs.realpathSync(file);
	} catch (error) {
		if (isErrno(error, "ENOENT")) return "/dev/null";
		throw error;
	}
}

/** A link in its place would lead out of the image. */
function makeDirectory(directory: string): void {
	try {
		fs.mkdirSync(directory, { mode: 0o755 });
	} catch (error) {
		if (!isErrno(error, "EEXIST") || !fs.lstatSync(directory).isDirectory()) throw error;
	}
}

/** By rename, so that a link or device of that name in the image is not written through. */
function replaceFile(directory: string, name: string, text: string): void {
	const temporary = path.join(directory, `.${name}.${randomSuffix()}`);
	fs.writeFileSync(temporary, text, { flag: "wx", mode: 0o644 });
	fs.chmodSync(temporary, 0o644);
	fs.renameSync(temporary, path.join(directory, name));
}
