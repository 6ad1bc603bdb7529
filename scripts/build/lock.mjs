import { spawnSync } from "node:child_process";
import { closeSync, openSync } from "node:fs";

/** Runs `body` while no other build of this tree runs. flock(1) locks our open file; we keep it. */
export async function withBuildLock(body) {
	const fd = openSync("dist/.build-lock", "a");
	const result = spawnSync("flock", ["-x", "3"], { stdio: ["ignore", "ignore", "inherit", fd] });
	if (result.status !== 0) throw new Error("flock(1) of util-linux failed on dist/.build-lock");
	try {
		await body();
	} finally {
		closeSync(fd);
	}
}
