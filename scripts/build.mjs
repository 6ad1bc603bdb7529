// Builds everything in dist/: the programs, the stage1 image, the scripts and the tests. What has not changed
// is not written again, so that a second run takes about a second. Two builds at once wait for each other.
//
// usage: node scripts/build.mjs
import { mkdirSync } from "node:fs";
import { buildPrograms, buildScripts, buildTests } from "./build/bundles.mjs";
import { writeCodeCache } from "./build/code-cache.mjs";
import { prepareGuestKernel } from "./build/guest-kernel.mjs";
import { withBuildLock } from "./build/lock.mjs";
import { buildStage1Images } from "./build/stage1-images.mjs";
import { linkTestBuild } from "./build/test-build.mjs";

const started = performance.now();
process.chdir(new URL("..", import.meta.url).pathname);
mkdirSync("dist", { recursive: true });
withBuildLock(main).catch((error) => {
	// esbuild has printed its own errors with the source lines.
	if (error.errors === undefined) console.error(`build: ${error.stack}`);
	process.exitCode = 1;
});

async function main() {
	const written = await buildPrograms();
	writeCodeCache("dist/rkt.cjs");
	written.push(...prepareGuestKernel());
	written.push(...(await buildStage1Images()));
	linkTestBuild();
	written.push(...(await buildScripts()), ...(await buildTests()));
	const what = written.length === 0 ? "nothing changed" : `${written.length} files written`;
	console.log(`build: ${what} (${((performance.now() - started) / 1000).toFixed(1)} s)`);
}
