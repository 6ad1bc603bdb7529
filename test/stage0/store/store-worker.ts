import * as fs from "node:fs";
import * as path from "node:path";
import { parseImageManifest } from "../../../appc/schema/image-manifest.ts";
import { messageOf } from "../../../lib/errors.ts";
import { createLinuxSyscall } from "../../../lib/syscall/linux.ts";
import type { LayerSource } from "../../../stage0/store/layer-store.ts";
import { openStore, type Store } from "../../../stage0/store/store.ts";

/** One process that works with a store: `DATA-DIRECTORY ACTION [ARGUMENT]`. Prints the key or the error code. */
async function main([directory = "", action = "", argument = ""]: readonly string[]): Promise<string> {
	const store = openStore(directory, createLinuxSyscall());
	switch (action) {
		case "import":
			return (await store.importAci(argument, { source: argument })).key;
		case "import-render":
			return (await store.importAci(argument, { source: argument, render: true })).key;
		case "render":
			return (await store.ensureTree(argument)).treeId;
		case "remove":
			store.remove(argument);
			return argument;
		case "remove-tree":
			store.removeTree(argument);
			return argument;
		case "layer":
			await store.ensureLayer(layerIn(argument));
			return argument;
		case "image":
			return (await importLayers(store, argument)).key;
		case "render-layered":
			return (await store.ensureTree((await importLayers(store, argument)).key)).treeId;
		case "gc":
			return store.gc({ gracePeriodMs: 0, keep: new Set() }).join("\n");
		case "list":
			return store
				.list()
				.map(({ key }) => key)
				.join("\n");
		default:
			throw new Error(`unknown action ${action}`);
	}
}

/** A file named after its diff ID. Each time that it is read, its name and `.read` grows by a byte. */
function layerIn(file: string): LayerSource {
	return {
		diffId: `sha256:${path.basename(file)}`,
		source: file,
		open: () => {
			fs.appendFileSync(`${file}.read`, ".");
			return fs.createReadStream(file) as AsyncIterable<Buffer>;
		},
	};
}

/** A directory with files of layers, `layers` (their names, bottom first) and `manifest`. */
async function importLayers(store: Store, directory: string) {
	const read = (name: string) => fs.readFileSync(path.join(directory, name), "utf8");
	const names = read("layers").split("\n");
	for (const name of names) await store.ensureLayer(layerIn(path.join(directory, name)));
	const manifestText = read("manifest");
	return store.importLayered({
		manifest: parseImageManifest(manifestText, "manifest"),
		manifestText,
		layers: names.map((name) => `sha256:${name}`),
		source: directory,
		latest: false,
		insecure: true,
	});
}

main(process.argv.slice(2)).then(
	(text) => process.stdout.write(`${text}\n`),
	(error) => {
		process.stderr.write(`${(error as { code?: string }).code}: ${messageOf(error)}\n`);
		process.exitCode = 254;
	},
);
