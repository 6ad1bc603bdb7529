import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { directoryEntries } from "../../appc/aci/directory-entries.ts";
import { writeAci } from "../../appc/aci/write.ts";
import { runCommand } from "../../lib/process.ts";
import { RKT_VERSION } from "../../lib/version.ts";
import { buildRootFileSystem } from "../rootfs/root-file-system.ts";
import { makeCodeCache } from "./code-cache.ts";
import { ENTRYPOINT_NAMES, entryScript, entryScriptPath } from "./entry-script.ts";
import { type Annotation, MODULE_PATH, stage1Manifest } from "./manifest.ts";
import { BUNDLE_NAME, CACHE_NAME, MODULE_LOADER } from "./module-loader.ts";

/** Where a recipe finds what was built before it, and puts its image. */
export interface BuildPlaces {
	/** The project. */
	readonly sources: string;
	/** Where the bundled modules and koffi's addon are, and where the image goes. */
	readonly outDir: string;
}

/** What one backend puts into its image beyond the root file system that all of them share. */
export interface ImageRecipe {
	/** Short name, for `--stage1-image`, the file and the link `flavor`. */
	readonly flavor: string;
	/** Name of the bundled module in outDir. */
	readonly bundle: string;
	addPrograms(root: string, places: BuildPlaces): void;
	/** What the manifest says beyond the entry points; called when the programs are there. */
	annotations?(root: string, places: BuildPlaces): readonly Annotation[];
}

/** An entry of stage1-images.json. */
export interface BuiltImage {
	/** Name of the file in outDir. */
	readonly file: string;
	readonly id: string;
	readonly name: string;
	readonly version: string;
	/** Version of the systemd package in it. */
	readonly systemd: string;
}

/**
 * Builds the stage1 image of a backend. The same sources on the same Debian packages give the same bytes. Errors:
 * `build-failed`, `program-missing`.
 */
export async function buildStage1Image(recipe: ImageRecipe, places: BuildPlaces): Promise<BuiltImage> {
	const root = fs.mkdtempSync(path.join(os.tmpdir(), "rkt-stage1-"));
	const umask = process.umask(0o022);
	try {
		fs.chmodSync(root, 0o755);
		buildRootFileSystem(root, places.sources);
		recipe.addPrograms(root, places);
		addModule(path.join(root, "rkt"), recipe, places);
		fs.symlinkSync(recipe.flavor, path.join(root, "flavor"));
		return await packImage(root, recipe, places);
	} finally {
		process.umask(umask);
		fs.rmSync(root, { recursive: true, force: true });
	}
}

function addModule(directory: string, { bundle }: ImageRecipe, { outDir }: BuildPlaces): void {
	const source = path.join(outDir, bundle);
	fs.writeFileSync(path.join(directory, path.basename(MODULE_PATH)), MODULE_LOADER);
	fs.copyFileSync(source, path.join(directory, BUNDLE_NAME));
	const cache = makeCodeCache(source);
	if (cache) fs.writeFileSync(path.join(directory, CACHE_NAME), cache);
	fs.copyFileSync(path.join(outDir, "koffi.node"), path.join(directory, "koffi.node"));
	for (const name of ENTRYPOINT_NAMES) {
		const script = path.join(path.dirname(directory), entryScriptPath(name));
		fs.writeFileSync(script, entryScript(name), { mode: 0o755 });
	}
}

async function packImage(root: string, recipe: ImageRecipe, places: BuildPlaces): Promise<BuiltImage> {
	const { flavor } = recipe;
	const file = `stage1-${flavor}.aci`;
	const target = path.join(places.outDir, file);
	const temporary = `${target}.${process.pid}.tmp`;
	const name = `coreos.com/rkt/stage1-${flavor}`;
	const written = await writeAci(
		{
			manifest: stage1Manifest(name, process.arch, recipe.annotations?.(root, places)),
			rootfs: directoryEntries(root, { mtimeNs: 0n, owner: { uid: 0, gid: 0 } }),
		},
		fs.createWriteStream(temporary),
	);
	fs.renameSync(temporary, target);
	return { file, id: written.imageId, name, version: RKT_VERSION, systemd: systemdVersion() };
}

function systemdVersion(): string {
	return runCommand("dpkg-query", ["--show", `--showformat=\${Version}`, "systemd"]).stdout.trim();
}
