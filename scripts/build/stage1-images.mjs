import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { build } from "esbuild";
import { writeIfChanged } from "./write-if-changed.mjs";

/** A backend: the folder with its recipe, whose images change when one of `inputs` does. */
const backends = [
	{ folder: "stage1-nspawn", inputs: ["dist/stage1-nspawn.cjs"] },
	{ folder: "stage1-kvm", inputs: ["dist/stage1-kvm.cjs", "dist/guest-kernel/kernel.json"] },
];

/**
 * Builds the stage1 images of every backend and dist/stage1-images.json, which names their ids. A backend whose
 * recipe, module and Debian packages are those of the last build is skipped. Gives the files that it has written.
 */
export async function buildStage1Images() {
	const written = [];
	const list = {};
	for (const backend of backends) {
		const stamp = `dist/.${backend.folder}-images.json`;
		const inputs = hashInputs(backend);
		const last = existsSync(stamp) ? JSON.parse(readFileSync(stamp, "utf8")) : {};
		const images = Object.values(last.images ?? {});
		const done = last.inputs === inputs && images.every(({ file }) => existsSync(`dist/${file}`));
		if (!done) {
			last.images = await buildBackend(backend.folder);
			writeFileSync(stamp, JSON.stringify({ inputs, images: last.images }));
			written.push(...Object.values(last.images).map(({ file }) => file));
		}
		Object.assign(list, last.images);
	}
	const text = `${JSON.stringify(list, null, "\t")}\n`;
	if (writeIfChanged("dist/stage1-images.json", text)) written.push("stage1-images.json");
	return written;
}

/** The recipes are TypeScript: bundled, then run in this process. */
async function buildBackend(folder) {
	const directory = mkdtempSync(path.join(tmpdir(), "rkt-build-"));
	try {
		const bundle = path.join(directory, "build.cjs");
		await build({
			stdin: {
				contents: `export { recipes } from "./${folder}/image/build.ts";
					export { buildStage1Image } from "./stage1/image/build-image.ts";`,
				resolveDir: process.cwd(),
			},
			bundle: true,
			platform: "node",
			format: "cjs",
			external: ["koffi"],
			outfile: bundle,
			logLevel: "warning",
		});
		const { recipes, buildStage1Image } = createRequire(import.meta.url)(bundle);
		const places = { sources: process.cwd(), outDir: path.resolve("dist") };
		const images = {};
		for (const recipe of recipes) images[recipe.flavor] = await buildStage1Image(recipe, places);
		return images;
	} finally {
		rmSync(directory, { recursive: true, force: true });
	}
}

/** The versions of every installed package count: the image holds whatever libraries systemd needs. */
function hashInputs({ folder, inputs }) {
	const hash = createHash("sha256");
	const minimal = ["vmlinux", "bzImage", "linux"].map((name) => `dist/minimal-kernel/${name}`);
	const optional = minimal.filter((file) => existsSync(file));
	for (const file of [...inputs, ...optional, "dist/koffi.node", ...recipeFiles(folder)]) {
		hash.update(`${file}\0`).update(readFileSync(file));
	}
	hash.update(spawnSync("dpkg-query", ["-W"]).stdout);
	return hash.digest("hex");
}

function recipeFiles(folder) {
	const roots = [folder, "stage1", "appc/aci"];
	return roots
		.flatMap((root) => readdirSync(root, { recursive: true }).map((name) => path.join(root, name)))
		.filter((file) => statSync(file).isFile())
		.sort();
}
