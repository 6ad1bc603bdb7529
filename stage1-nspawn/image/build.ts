import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { directoryEntries } from "../../appc/aci/directory-entries.ts";
import { writeAci } from "../../appc/aci/write.ts";
import { RKT_VERSION } from "../../lib/version.ts";
import { buildRootFileSystem, compileStatic } from "../../stage1/rootfs/root-file-system.ts";
import { makeCodeCache } from "../../stage1/image/code-cache.ts";
import { ENTRYPOINT_NAMES, entryScript, entryScriptPath } from "../../stage1/image/entry-script.ts";
import { MODULE_PATH, STAGE1_NAME, stage1Manifest } from "../../stage1/image/manifest.ts";
import { BUNDLE_NAME, CACHE_NAME, MODULE_LOADER } from "../../stage1/image/module-loader.ts";

export interface BuildOptions {
	/** The project; default: the working directory. */
	readonly sources?: string;
	/** Where the image and stage1-images.json go; default: dist. */
	readonly outDir?: string;
	/** The bundled module; default: stage1-nspawn.cjs in dist. */
	readonly bundlePath?: string;
	/** koffi's addon; default: koffi.node in dist. */
	readonly koffiPath?: string;
}

export interface BuiltImage {
	/** Path of the image. */
	readonly file: string;
	readonly id: string;
}

const FILE_NAME = "stage1-nspawn.aci";

/**
 * Builds the nspawn stage1 image and the file that names it. The same sources on the same Debian packages give the same
 * bytes. Errors: `build-failed`, `program-missing`.
 */
export async function buildStage1Image(options: BuildOptions = {}): Promise<BuiltImage> {
	const sources = path.resolve(options.sources ?? ".");
	const outDir = path.resolve(options.outDir ?? path.join(sources, "dist"));
	const root = fs.mkdtempSync(path.join(os.tmpdir(), "rkt-stage1-"));
	const umask = process.umask(0o022);
	try {
		fs.chmodSync(root, 0o755);
		buildRootFileSystem(root, sources);
		addOwnPrograms(root, sources, options);
		return await packImage(root, outDir);
	} finally {
		process.umask(umask);
		fs.rmSync(root, { recursive: true, force: true });
	}
}

function addOwnPrograms(root: string, sources: string, options: BuildOptions): void {
	const guest = path.join(sources, "stage1-nspawn/guest");
	const shared = path.join(sources, "stage1/guest");
	const common = ["spec", "confine", "filter", "app-root"].map((name) => path.join(shared, `${name}.c`));
	compileStatic([path.join(guest, "init.c")], path.join(root, "rkt/init"));
	compileStatic(
		[...["enter", "terminal"].map((name) => path.join(guest, `${name}.c`)), ...common],
		path.join(root, "rkt/enter-helper"),
		[`-I${shared}`, "-lseccomp"],
	);
	addModule(path.join(root, "rkt"), options.bundlePath ?? path.join(sources, "dist/stage1-nspawn.cjs"));
	const koffi = options.koffiPath ?? path.join(sources, "dist/koffi.node");
	fs.copyFileSync(koffi, path.join(root, "rkt/koffi.node"));
	for (const name of ENTRYPOINT_NAMES) {
		fs.writeFileSync(path.join(root, entryScriptPath(name)), entryScript(name), { mode: 0o755 });
	}
	fs.symlinkSync("nspawn", path.join(root, "flavor"));
}

function addModule(directory: string, bundle: string): void {
	fs.writeFileSync(path.join(directory, path.basename(MODULE_PATH)), MODULE_LOADER);
	fs.copyFileSync(bundle, path.join(directory, BUNDLE_NAME));
	const cache = makeCodeCache(bundle);
	if (cache) fs.writeFileSync(path.join(directory, CACHE_NAME), cache);
}

async function packImage(root: string, outDir: string): Promise<BuiltImage> {
	fs.mkdirSync(outDir, { recursive: true });
	const file = path.join(outDir, FILE_NAME);
	const temporary = `${file}.${process.pid}.tmp`;
	const written = await writeAci(
		{
			manifest: stage1Manifest(process.arch),
			rootfs: directoryEntries(root, { mtimeNs: 0n, owner: { uid: 0, gid: 0 } }),
		},
		fs.createWriteStream(temporary),
	);
	fs.renameSync(temporary, file);
	const entry = { file: FILE_NAME, id: written.imageId, name: STAGE1_NAME, version: RKT_VERSION };
	fs.writeFileSync(
		path.join(outDir, "stage1-images.json"),
		`${JSON.stringify({ nspawn: entry }, null, "\t")}\n`,
	);
	return { file, id: written.imageId };
}
