import { execFileSync, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import type { Case } from "./measure.ts";

/** A program with rkt's command line, with directories of its own. */
export interface Contestant {
	readonly name: string;
	readonly command: readonly string[];
}

export function rktContestant(name: string, program: string, directory: string): Contestant {
	const own = path.join(directory, name.replaceAll(/\W/g, "-"));
	fs.mkdirSync(own, { recursive: true });
	return { name, command: [program, `--dir=${own}/data`, `--local-config=${own}/etc`] };
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

/** Other container programs of this machine, each starting the same program from the same files. */
export function otherRuntimes(directory: string, rootfs: string): Case[] {
	const say = ["/bin/echo", "hello"];
	const cases: Case[] = [];
	if (isInstalled("systemd-nspawn")) {
		// It refuses a tree without /usr.
		fs.mkdirSync(path.join(rootfs, "usr"), { recursive: true });
		const flags = ["--quiet", "--register=no", "--keep-unit", "--pipe", `--directory=${rootfs}`];
		cases.push({ name: "systemd-nspawn", command: ["systemd-nspawn", ...flags, ...say] });
	}
	if (isInstalled("crun")) {
		const bundle = makeBundle(directory, rootfs, say);
		cases.push({ name: "crun run", command: ["crun", "run", `--bundle=${bundle}`, "rkt-bench"] });
	}
	if (isInstalled("podman")) {
		cases.push(
			...["none", "host"].map((net) => ({
				name: `podman run --network=${net} --rootfs`,
				command: ["podman", "run", "--rm", `--network=${net}`, "--rootfs", rootfs, ...say],
			})),
		);
	}
	return cases;
}

export function isInstalled(program: string): boolean {
	return spawnSync("sh", ["-c", `command -v ${program}`]).status === 0;
}

function makeBundle(directory: string, rootfs: string, args: readonly string[]): string {
	const bundle = path.join(directory, "bundle");
	fs.mkdirSync(bundle, { recursive: true });
	execFileSync("crun", ["spec"], { cwd: bundle });
	const file = path.join(bundle, "config.json");
	const config = JSON.parse(fs.readFileSync(file, "utf8"));
	config.root.path = rootfs;
	config.process.args = args;
	config.process.terminal = false;
	fs.writeFileSync(file, JSON.stringify(config));
	return bundle;
}
