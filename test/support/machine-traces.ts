import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";

/** What pods leave in a machine, as lists of lines; compared before and after. */
export type MachineTraces = Readonly<Record<string, readonly string[]>>;

/**
 * Reads everything that a pod adds to a machine. Control groups and journals are shared with whatever else
 * runs there, so only names that look like a pod's (`identifiers`: UUIDs with and without dashes) count.
 */
export function readMachineTraces(dataDirectory: string, identifiers: readonly string[]): MachineTraces {
	const ofOurPods = (name: string): boolean =>
		identifiers.some((uuid) => name.includes(uuid) || name.includes(uuid.replaceAll("-", "")));
	return {
		mounts: lines(fs.readFileSync("/proc/self/mountinfo", "utf8")).map(
			(line) => line.split(" ")[4] as string,
		),
		"network interfaces": lines(run("ip", ["-o", "link"])).map((line) => line.split(":")[1] as string),
		"network namespaces": listTree("/run/netns"),
		"iptables rules": lines(run("iptables-save", [])).filter((line) =>
			/^-A|^:(?!INPUT|OUTPUT|FORWARD|PREROUTING|POSTROUTING)/.test(line),
		),
		"address leases": listTree("/var/lib/cni").filter((name) => /\/\d+\.\d+\.\d+\.\d+$/.test(name)),
		"control groups": findDirectories("/sys/fs/cgroup").filter(ofOurPods),
		journals: [...listNames("/var/log/journal"), ...listNames("/run/log/journal")].filter(ofOurPods),
		"run files": findDirectories("/run").filter(ofOurPods),
		pods: listTree(path.join(dataDirectory, "pods")).filter((name) => /\/[0-9a-f-]{36}$/.test(name)),
		processes: processCommands().filter(ofOurPods),
	};
}

/** What is there afterwards and was not before, as `kind: line`. */
export function newTraces(before: MachineTraces, after: MachineTraces): string[] {
	return Object.entries(after).flatMap(([kind, now]) => {
		const known = new Set(before[kind]);
		return now.filter((line) => !known.has(line)).map((line) => `${kind}: ${line}`);
	});
}

function run(program: string, args: readonly string[]): string {
	return spawnSync(program, args, { encoding: "utf8" }).stdout;
}

function lines(text: string): string[] {
	return text.split("\n").filter((line) => line !== "");
}

function listNames(directory: string): string[] {
	return fs.existsSync(directory) ? fs.readdirSync(directory) : [];
}

function listTree(directory: string): string[] {
	const names = run("find", [directory, "-xdev", "-maxdepth", "3"]);
	return lines(names);
}

function findDirectories(directory: string): string[] {
	return lines(run("find", [directory, "-type", "d"]));
}

function processCommands(): string[] {
	return fs
		.readdirSync("/proc")
		.filter((name) => /^\d+$/.test(name) && name !== String(process.pid))
		.map((pid) => {
			try {
				return fs.readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
			} catch {
				return "";
			}
		});
}
