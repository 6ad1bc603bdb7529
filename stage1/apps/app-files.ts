import * as fs from "node:fs";
import { lstatIfExists } from "../../lib/files.ts";
import type { Syscall } from "../../lib/syscall/syscall.ts";
import type { HostFile } from "../network/name-files.ts";
import * as podPaths from "../pod-paths.ts";
import { mountInApp } from "../volumes/mount-volume.ts";
import type { AppRoot } from "./app-root.ts";

/** Directories that every app finds, whatever its image holds (pod.md section 4.7 of the reference). */
const DIRECTORIES: readonly (readonly [target: string, mode: number])[] = [
	["/dev", 0o755],
	["/etc", 0o755],
	["/proc", 0o755],
	["/sys", 0o755],
	["/run/systemd/journal", 0o755],
	["/tmp", 0o1777],
];

/** Where systemd of the pod writes in what it runs; systemd-detect-virt(1) of an app reads it. */
export const CONTAINER_MARKER = "/run/systemd/container";

/** Makes the directories and files that something is mounted on. */
export function prepareAppRoot(root: AppRoot, notify: boolean): void {
	for (const target of ["/proc", "/sys"]) root.refuseLink(target);
	for (const [target, mode] of DIRECTORIES) fs.closeSync(root.ensureDirectory(target, mode));
	fs.closeSync(root.ensureFile(CONTAINER_MARKER));
	if (notify) fs.closeSync(root.ensureFile("/run/systemd/notify"));
}

/**
 * Mounts the pod's /etc/hostname, /etc/hosts and /etc/resolv.conf over those of the image and of volumes. An image that
 * has a hosts file keeps it unless somebody asked for another; one of docker's gets all three in any case, as it is used
 * to. `hostFiles` are those taken from the host.
 */
export function mountNameFiles(
	syscall: Syscall,
	pod: string,
	root: AppRoot,
	hostFiles: readonly HostFile[],
	docker: boolean,
): void {
	const mount = (guestPath: string, target: string, readOnly: boolean): void => {
		const host = hostFiles.find((file) => file.target === guestPath);
		const source = host?.source ?? podPaths.inStage1(pod, guestPath);
		if (host === undefined && !lstatIfExists(source)?.isFile()) return;
		const common = { name: target, target, recursive: false, noExec: true };
		mountInApp(syscall, root, { ...common, source, readOnly: readOnly || host !== undefined });
	};
	mount(podPaths.GUEST_HOSTNAME, "/etc/hostname", true);
	mount(podPaths.GUEST_RESOLV_CONF, "/etc/resolv.conf", false);
	if (docker) mount(podPaths.GUEST_RESOLV_FALLBACK, "/etc/resolv.conf", false);
	if (docker || root.stat("/etc/hosts") === undefined)
		mount(podPaths.GUEST_HOSTS_FALLBACK, "/etc/hosts", false);
	mount(podPaths.GUEST_HOSTS, "/etc/hosts", false);
}
