import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { build } from "esbuild";

const stamp = "dist/.stage1-nspawn-inputs";

/**
 * Builds dist/stage1-nspawn.aci and dist/stage1-images.json, which names its id. Skipped, with the answer
 * false, when the recipe, the module and Debian's packages are those of the last build.
 */
export async function buildStage1Images() {
	const inputs = hashInputs();
	const done = ["dist/stage1-nspawn.aci", "dist/stage1-images.json"].every((file) => existsSync(file));
	if (done && existsSync(stamp) && readFileSync(stamp, "utf8") === inputs) return false;
	const directory = mkdtempSync(path.join(tmpdir(), "rkt-build-"));
	try {
		const recipe = path.join(directory, "build.cjs");
		await build({
			entryPoints: ["stage1-nspawn/image/build.ts"],
			bundle: true,
			platform: "node",
			format: "cjs",
			external: ["koffi"],
			outfile: recipe,
			logLevel: "warning",
		});
		const { buildStage1Image } = createRequire(import.meta.url)(recipe);
		await buildStage1Image({});
	} finally {
		rmSync(directory, { recursive: true, force: true });
	}
	writeFileSync(stamp, inputs);
	return true;
}

/** The versions of every installed package count: the image holds whatever libraries systemd needs. */
function hashInputs() {
	const hash = createHash("sha256");
	for (const file of ["dist/stage1-nspawn.cjs", "dist/koffi.node", ...recipeFiles()]) {
		hash.update(`${file}\0`).update(readFileSync(file));
	}
	hash.update(spawnSync("dpkg-query", ["-W"]).stdout);
	return hash.digest("hex");
}

function recipeFiles() {
	const roots = ["stage1-nspawn", "stage1", "appc/aci"];
	return roots
		.flatMap((root) => readdirSync(root, { recursive: true }).map((name) => path.join(root, name)))
		.filter((file) => statSync(file).isFile())
		.sort();
}
