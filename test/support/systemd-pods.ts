import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { type CommandResult, runCommand } from "../../lib/process.ts";
import { BUSYBOX } from "./busybox-host.ts";
import { distDirectory } from "./dist-directory.ts";
import { busyboxFiles, imageManifest, makeAci } from "./make-aci.ts";
import { waitFor } from "./wait-for.ts";

/*
 * Pods and units for programs that run on a systemd host (on-systemd-host.ts), whose /var/lib/rkt is empty.
 */

/** This machine's own certificates cost every start of Node 35 ms. */
const { NODE_EXTRA_CA_CERTS: _, ...environment } = process.env as Record<string, string>;

export const RKT = path.join(distDirectory(), "rkt");

/** Puts an image of busybox into the store. */
export async function fetchBusybox(): Promise<void> {
	const file = "/var/tmp/busybox.aci";
	await makeAci(file, { manifest: imageManifest(BUSYBOX), files: busyboxFiles() });
	system(RKT, "--insecure-options=image", "fetch", file);
}

/** A script that ends in order on SIGTERM, with status 5. */
export const GRACEFUL = "trap 'echo got TERM; exit 5' TERM; echo up; while :; do sleep 0.1; done";

export interface PodFlags {
	readonly pod?: readonly string[];
	readonly app?: readonly string[];
}

/** The command line of a pod without network that runs a shell script. The UUID goes to /run/NAME.uuid. */
export function podCommand(name: string, script: string, flags: PodFlags = {}): string[] {
	const pod = ["--net=none", `--uuid-file-save=${uuidFile(name)}`, ...(flags.pod ?? [])];
	return [RKT, "run", ...pod, BUSYBOX, ...(flags.app ?? []), "--exec=/bin/sh", "--", "-c", script];
}

export function uuidFile(name: string): string {
	return `/run/${name}.uuid`;
}

/** The UUID of the latest pod with this name. */
export function podUuid(name: string): string {
	return fs.readFileSync(uuidFile(name), "utf8").trim();
}

/** Removes the dashes: the machine id of a pod. */
export function machineIdOf(uuid: string): string {
	return uuid.replaceAll("-", "");
}

/** A program that must succeed; what it printed, without the last newline. */
export function system(program: string, ...args: readonly string[]): string {
	const result = attempt(program, ...args);
	if (result.status !== 0) {
		throw new Error(
			`${program} ${args.join(" ")}: status ${result.status}\n${result.stdout}${result.stderr}`,
		);
	}
	return result.stdout.trimEnd();
}

/** A program that may fail. */
export function attempt(program: string, ...args: readonly string[]): CommandResult {
	return runCommand(program, args, { environment, timeoutMs: 30_000 });
}

/** A pod as a transient service; returns when the service has started. */
export function startUnit(
	name: string,
	command: readonly string[],
	properties: readonly string[] = [],
): void {
	const all = ["Type=notify", "KillMode=mixed", "Delegate=yes", "TimeoutStopSec=10", ...properties];
	const flags = all.map((property) => `--property=${property}`);
	system("systemd-run", "--quiet", `--unit=${name}`, "--slice=machine.slice", ...flags, ...command);
}

/** A pod outside of any service, as from a login: in a scope. */
export function startInScope(name: string, command: readonly string[]): ChildProcess {
	return spawn("systemd-run", ["--scope", "--quiet", `--unit=${name}`, ...command], {
		env: environment,
		stdio: ["ignore", "pipe", "pipe"],
	});
}

/** How a process ended: its status, or the name of the signal. */
export function endOf(child: ChildProcess): Promise<number | string | null> {
	if (child.exitCode !== null || child.signalCode !== null) {
		return Promise.resolve(child.exitCode ?? child.signalCode);
	}
	return new Promise((resolve) => child.on("exit", (code, signal) => resolve(code ?? signal)));
}

export function unitProperty(unit: string, property: string): string {
	return system("systemctl", "show", "--value", `--property=${property}`, unit);
}

export function machineProperty(uuid: string, property: string): string {
	return system("machinectl", "show", "--value", `--property=${property}`, `rkt-${uuid}`);
}

/** UUIDs of the pods that machined knows. */
export function machines(): string[] {
	const lines = system("machinectl", "list", "--no-legend").split("\n");
	return lines.flatMap((line) => (line.startsWith("rkt-") ? [line.split(" ")[0]?.slice(4) as string] : []));
}

/** What `rkt status` prints, by key. */
export function podStatus(uuid: string): Map<string, string> {
	const lines = system(RKT, "status", uuid).split("\n");
	return new Map(lines.map((line) => [line.replace(/=.*/, ""), line.replace(/^[^=]*=/, "")]));
}

/** Pids and names of all processes in the cgroup of a unit and below. */
export function unitProcesses(unit: string): Map<number, string> {
	const base = fs.existsSync("/sys/fs/cgroup/systemd") ? "/sys/fs/cgroup/systemd" : "/sys/fs/cgroup";
	const group = path.join(base, unitProperty(unit, "ControlGroup"));
	const pids = system("find", group, "-name", "cgroup.procs", "-exec", "cat", "{}", "+").split("\n");
	return new Map(pids.filter(Boolean).map((pid) => [Number(pid), commandName(Number(pid))]));
}

/** The name of the program of a process; empty when it has ended. */
function commandName(pid: number): string {
	try {
		return path.basename(fs.readlinkSync(`/proc/${pid}/exe`));
	} catch {
		return "";
	}
}

/** Waits until the latest pod with this name has printed something; its UUID. */
export async function waitForOutput(name: string): Promise<string> {
	const printed = (): boolean => {
		const directory = fs.existsSync(uuidFile(name)) && `/var/log/journal/${machineIdOf(podUuid(name))}`;
		return (
			directory !== false && fs.existsSync(directory) && journal("-D", directory, "-t", "busybox").length > 0
		);
	};
	await waitFor(`output of ${name}`, printed);
	return podUuid(name);
}

/** Messages of a journal; `filter` are arguments of journalctl. */
export function journal(...filter: readonly string[]): Record<string, string>[] {
	const text = system("journalctl", "--quiet", "--output=json", "--all", ...filter);
	return text === "" ? [] : text.split("\n").map((line) => JSON.parse(line));
}
