import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, renameSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { makeTinyImages } from "./tiny-images.mjs";

const maker = new URL("make-code-cache.cjs", import.meta.url).pathname;

/** Writes `${program}.cache` when the program is newer than it; see launcher.cjs for its use. */
export function writeCodeCache(program) {
	const cache = `${program}.cache`;
	if (existsSync(cache) && statSync(cache).mtimeMs >= statSync(program).mtimeMs) return;
	rmSync(cache, { force: true });
	const directory = mkdtempSync(path.join(tmpdir(), "rkt-build-"));
	try {
		const next = path.join(directory, "cache");
		for (const command of warmUpCommands(directory)) {
			runIsolated([process.execPath, maker, path.resolve(program), next, ...command]);
			if (!existsSync(next)) throw new Error(`no code cache came of: rkt ${command.join(" ")}`);
		}
		renameSync(next, cache);
	} finally {
		rmSync(directory, { recursive: true, force: true });
	}
}

/**
 * Typical commands: the functions that they compile go into the cache, each run adding to the one before. As
 * root that includes a run, with a stage1 that does nothing; for others it ends where root is needed.
 */
function warmUpCommands(directory) {
	const { app, stage1 } = makeTinyImages(directory);
	const places = [
		`--dir=${directory}/data`,
		`--local-config=${directory}/etc`,
		`--system-config=${directory}/usr`,
	];
	const run = ["--insecure-options=image", `--stage1-path=${stage1}`, "example.com/app"];
	return [
		["version"],
		["list"],
		["image", "list"],
		["status", "00000000"],
		["--insecure-options=image", "fetch", app],
		["run", "--net=none", ...run],
		["prepare", ...run],
		["list"],
		["gc", "--grace-period=0s", "--expire-prepared=0s"],
		["gc", "--grace-period=0s"],
	].map((command) => [...places, ...command]);
}

/** In a mount namespace of its own, so that no overlay can stay behind. */
function runIsolated(command) {
	const unshare = process.geteuid() === 0 ? ["unshare", "--mount", "--propagation=private"] : [];
	const [program, ...args] = [...unshare, ...command];
	spawnSync(program, args, { stdio: "ignore" });
}
