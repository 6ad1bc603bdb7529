import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { build } from "esbuild";
import { writeIfChanged } from "./write-if-changed.mjs";

// One CommonJS file a program: a start costs 12 ms over an empty node instead of 80 with one file a module.
// Dynamic imports stay lazy inside the one file. Names are kept, so that a stack can be read.
const programOptions = {
	bundle: true,
	platform: "node",
	format: "cjs",
	target: "node20",
	mainFields: ["module", "main"],
	minifySyntax: true,
	minifyWhitespace: true,
	supported: { "dynamic-import": false },
	external: ["koffi"],
	legalComments: "none",
	logLevel: "warning",
	write: false,
};

/** rkt, the same with crash points for the tests, and the modules of the stage1 images. */
export async function buildPrograms() {
	const programs = [
		["stage0/cli/main.ts", "dist/rkt.cjs", { __CRASH_POINTS__: "false" }],
		["stage0/cli/main.ts", "dist/test-build/rkt.cjs", { __CRASH_POINTS__: "true" }],
		["stage1-nspawn/main.ts", "dist/stage1-nspawn.cjs", { __CRASH_POINTS__: "false" }],
		["stage1-kvm/main.ts", "dist/stage1-kvm.cjs", { __CRASH_POINTS__: "false" }],
	];
	const written = [];
	for (const [entry, outfile, define] of programs) {
		written.push(...(await bundle({ ...programOptions, entryPoints: [entry], outfile, define })));
	}
	const launcher = readFileSync("scripts/build/launcher.cjs");
	for (const directory of ["dist", "dist/test-build"]) {
		if (writeIfChanged(`${directory}/rkt`, launcher, 0o755)) written.push("rkt");
		if (writeIfChanged(`${directory}/koffi.node`, readKoffiAddon())) written.push("koffi.node");
	}
	return written;
}

/** Every program of scripts/. */
export function buildScripts() {
	return bundleTree("scripts", (name) => name.endsWith(".ts") && !name.includes("/"));
}

export function buildTests() {
	return bundleTree("test", (name) => name.endsWith(".test.ts"));
}

function bundleTree(root, isEntry) {
	const entryPoints = readdirSync(root, { recursive: true }).filter(isEntry).sort();
	return bundle({
		...programOptions,
		minifySyntax: false,
		minifyWhitespace: false,
		define: { __CRASH_POINTS__: "false" },
		// execa is an ES module and cannot be required; the others are found in node_modules.
		external: ["esbuild", "koffi", "tap", "tap-parser", "systeminformation"],
		entryPoints: entryPoints.map((name) => path.join(root, name)),
		outbase: root,
		outdir: path.join("dist", root),
		outExtension: { ".js": ".cjs" },
	});
}

async function bundle(options) {
	const { outputFiles } = await build(options);
	return outputFiles
		.filter((file) => writeIfChanged(file.path, requireOnce(file.text)))
		.map((file) => file.path);
}

/**
 * esbuild copies a namespace, a getter for each member, in every file that imports it. Those of Node that nearly every
 * file imports are used as they are: 4 ms of a start.
 */
function requireOnce(text) {
	return ["fs", "path"].reduce((before, name) => {
		if (new RegExp(`\\bimport_node_${name}\\d*\\.default\\b`).test(before)) return before;
		return before.replaceAll(`__toESM(require("node:${name}"))`, `require("node:${name}")`);
	}, text);
}

/** koffi ships its addon for each architecture in a package of its own; musl is of no use to stage1's systemd. */
function readKoffiAddon() {
	const from = createRequire(import.meta.url);
	const directory = path.dirname(from.resolve(`@koromix/koffi-linux-${process.arch}/package.json`));
	return readFileSync(path.join(directory, `linux_${process.arch}`, "koffi.node"));
}
