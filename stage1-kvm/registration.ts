import * as fs from "node:fs";
import * as path from "node:path";
import {
	MS_BIND,
	MS_NODEV,
	MS_NOEXEC,
	MS_NOSUID,
	MS_NOSYMFOLLOW,
	MS_RDONLY,
	MS_REMOUNT,
} from "../lib/syscall/syscall.ts";
import { findJournalDirectory } from "../stage1/journal.ts";
import * as podPaths from "../stage1/pod-paths.ts";
import { ownDirectory } from "../stage1/run/own-files.ts";
import type { RunContext } from "../stage1/run/run-context.ts";
import { GUEST_BOOT_ID } from "./guest-paths.ts";

const SAFE = MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOSYMFOLLOW;

/**
 * Makes what machined and `journalctl -M` are to find as the root of the machine, and gives the arguments with which the
 * monitor registers the pod. With `scope` machined makes one for it, else the unit that we are in is the machine's.
 * The mounts are in the pod's mount namespace and end with it.
 */
export function prepareRegistration(context: RunContext, { scope }: { scope: boolean }): string[] {
	const { pod, options } = context;
	return [
		`--machine=${podPaths.machineName(options.uuid)}`,
		`--root=${podPaths.stage1Rootfs(pod.directory)}`,
		`--machine-root=${makeMachineRoot(context)}`,
		...(scope ? ["--scope"] : []),
	];
}

/**
 * The journal of the pod, the name of its system and the id of its boot, which `journalctl -f` asks for, read-only. Links
 * that the pod may leave there lead nowhere.
 */
function makeMachineRoot({ syscall, pod, options }: RunContext): string {
	const root = path.join(pod.directory, "machine");
	fs.mkdirSync(root, { recursive: true });
	syscall.mount("machine", root, "tmpfs", SAFE, "mode=755,size=64k");
	const journal = path.join(root, "var/log/journal", podPaths.machineId(options.uuid));
	fs.mkdirSync(journal, { recursive: true });
	syscall.mount(findJournalDirectory(options.uuid) ?? journal, journal, "", MS_BIND, "");
	syscall.mount("", journal, "", MS_BIND | MS_REMOUNT | MS_RDONLY | SAFE, "");
	fs.mkdirSync(path.join(root, "etc"));
	fs.copyFileSync(path.join(ownDirectory(), "../etc/os-release"), path.join(root, "etc/os-release"));
	const bootId = path.join(root, "proc/sys/kernel/random/boot_id");
	fs.mkdirSync(path.dirname(bootId), { recursive: true });
	fs.writeFileSync(bootId, fs.readFileSync("/proc/sys/kernel/random/uuid"));
	fs.copyFileSync(bootId, podPaths.inStage1(pod.directory, GUEST_BOOT_ID));
	syscall.mount("", root, "", MS_BIND | MS_REMOUNT | MS_RDONLY | SAFE, "");
	return root;
}
