import { execFileSync, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import type { Case } from "./measure.ts";

/** A program with rkt's command line, with directories of its own. */
export interface Contestant {
	readonly name: string;
	readonly command: readonly string[];
	/** Its data directory. */
	readonly data: string;
}

export function rktContestant(name: string, program: string, directory: string): Contestant {
	const own = path.join(directory, name.replaceAll(/\W/g, "-"));
	fs.mkdirSync(own, { recursive: true });
	const data = path.join(own, "data");
	return { name, command: [program, `--dir=${data}`, `--local-config=${own}/etc`], data };
}

/** Runs it now, unmeasured; throws when it fails. */
export function call(contestant: Contestant, ...args: string[]): string {
	const [program = "", ...first] = contestant.command;
	const result = spawnSync(program, [...first, ...args], { encoding: "utf8" });
	if (result.status !== 0) throw new Error(`${contestant.name} ${args.join(" ")}:\n${result.stderr}`);
	return result.stdout;
}

export function rktCase(contestant: Contestant, ...args: string[]): Case {
	return { name: `${contestant.name} ${args.join(" ")}`, command: [...contestant.command, ...args] };
}

/**
 * Other container programs of this machine, each starting the same program from the same files. One that does
 * not work here is left out, and standard error says so.
 */
export function otherRuntimes(directory: string, rootfs: string): Case[] {
	const say = ["/bin/echo", "hello"];
	// systemd-nspawn refuses a tree without /usr.
	fs.mkdirSync(path.join(rootfs, "usr"), { recursive: true });
	const nspawn = ["--quiet", "--register=no", "--keep-unit", "--pipe", `--directory=${rootfs}`];
	const limits = ["--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024"];
	const podman = ["run", "--rm", "--network=none", ...limits, "--rootfs", rootfs, ...say];
	return [
		working("systemd-nspawn", () => ["systemd-nspawn", ...nspawn, ...say]),
		working("crun run", () => [
			"crun",
			"run",
			`--bundle=${makeBundle("crun", directory, rootfs, say)}`,
			"rkt-bench",
		]),
		working("runc run", () => [
			"runc",
			"run",
			`--bundle=${makeBundle("runc", directory, rootfs, say)}`,
			"rkt-bench",
		]),
		working("podman run --network=none", () => ["podman", ...podman]) ??
			working("podman run --network=none, with runc", () => ["podman", ...PODMAN_WITH_RUNC, ...podman]),
	].filter((one) => one !== undefined);
}

/** For machines whose limits cannot be raised and whose control groups are of both versions. */
const PODMAN_WITH_RUNC = ["--runtime=runc", "--cgroup-manager=cgroupfs"];

function working(name: string, makeCommand: () => string[]): Case | undefined {
	if (!isInstalled(name.split(" ")[0] as string)) return undefined;
	const command = makeCommand();
	const [program = "", ...args] = command;
	const result = spawnSync(program, args, { encoding: "utf8" });
	if (result.status === 0) return { name, command };
	process.stderr.write(`bench: left out, because it does not work here: ${name}: ${result.stderr.trim()}\n`);
	return undefined;
}

export function isInstalled(program: string): boolean {
	return spawnSync("sh", ["-c", `command -v ${program}`]).status === 0;
}

/** Limits are left as they are: raising them needs a capability that not every machine gives. */
function makeBundle(program: string, directory: string, rootfs: string, args: readonly string[]): string {
	const bundle = path.join(directory, program);
	fs.mkdirSync(bundle, { recursive: true });
	execFileSync(program, ["spec"], { cwd: bundle });
	const file = path.join(bundle, "config.json");
	const config = JSON.parse(fs.readFileSync(file, "utf8"));
	config.root.path = rootfs;
	config.process.args = args;
	config.process.terminal = false;
	delete config.process.rlimits;
	fs.writeFileSync(file, JSON.stringify(config));
	return bundle;
}
