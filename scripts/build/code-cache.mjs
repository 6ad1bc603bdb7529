import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, renameSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

/** Typical light commands: the functions that they compile go into the cache, each run adding to the one before. */
function warmUpCommands(directory) {
	const places = [
		`--dir=${directory}/data`,
		`--local-config=${directory}/etc`,
		`--system-config=${directory}/usr`,
	];
	return [["version"], ["list"], ["image", "list"], ["status", "00000000"], ["gc"], ["run"]].map(
		(command) => [...command, ...places],
	);
}

/** Writes `${program}.cache` when the program is newer than it; see launcher.cjs for its use. */
export function writeCodeCache(program) {
	const cache = `${program}.cache`;
	if (existsSync(cache) && statSync(cache).mtimeMs >= statSync(program).mtimeMs) return;
	rmSync(cache, { force: true });
	const directory = mkdtempSync(path.join(tmpdir(), "rkt-build-"));
	try {
		const next = path.join(directory, "cache");
		for (const command of warmUpCommands(directory)) {
			const child = [
				new URL("make-code-cache.cjs", import.meta.url).pathname,
				path.resolve(program),
				next,
				...command,
			];
			spawnSync(process.execPath, child, { stdio: "ignore" });
			if (!existsSync(next)) throw new Error(`no code cache came of: rkt ${command.join(" ")}`);
		}
		renameSync(next, cache);
	} finally {
		rmSync(directory, { recursive: true, force: true });
	}
}
