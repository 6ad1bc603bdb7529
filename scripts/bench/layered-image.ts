import { spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as net from "node:net";
import * as path from "node:path";
import { isListening } from "../../test/support/docker-registry.ts";
import { makeOciImage } from "../../test/support/oci-image.ts";
import { directoryEntry, fileEntry, makeLayer, type OciLayer } from "../../test/support/oci-layer.ts";
import { writeDockerArchive, writeOciLayout } from "../../test/support/oci-layout.ts";
import { waitFor } from "../../test/support/wait-for.ts";

const LAYERS = 10;
const FILES_OF_LAYER = 1000;
const BYTES_OF_FILE = 30_000;

/** All files of an image together. */
export const IMAGE_BYTES: number = LAYERS * FILES_OF_LAYER * BYTES_OF_FILE;
export const IMAGE_FILES: number = LAYERS * FILES_OF_LAYER;

/** Two images, of whose layers all but the uppermost are the same. */
export const IMAGES = ["first", "second"] as const;
export type ImageName = (typeof IMAGES)[number];

export interface BenchRegistry {
	/** `127.0.0.1:PORT`; plain http. */
	readonly host: string;
	close(): void;
}

/** Writes the images as layouts and as what `docker save` writes: `NAME` and `NAME.tar` below the directory. */
export function writeBenchImages(directory: string): void {
	const common = Array.from({ length: LAYERS - 1 }, (_, index) => makeContent(`layer-${index}`));
	for (const name of IMAGES) {
		const image = makeOciImage({ layers: [...common, makeContent(`top-of-${name}`)] });
		writeOciLayout(path.join(directory, name), [{ tag: "1", images: [image] }]);
		writeDockerArchive(path.join(directory, `${name}.tar`), [
			{ image, repoTags: [`localhost/bench/${name}:1`] },
		]);
	}
}

/** Files whose second half repeats the first one: about as compressible as programs are. */
function makeContent(name: string): OciLayer {
	const files = Array.from({ length: FILES_OF_LAYER }, (_, index) => {
		const half = randomBytes(BYTES_OF_FILE / 2);
		return fileEntry(`${name}/file-${index}`, Buffer.concat([half, half]));
	});
	return makeLayer([directoryEntry(name), ...files]);
}

/** Debian's docker-registry with both images. */
export async function startBenchRegistry(directory: string): Promise<BenchRegistry> {
	const port = await freePort();
	const configuration = {
		version: 0.1,
		log: { level: "error", accesslog: { disabled: true } },
		storage: { filesystem: { rootdirectory: path.join(directory, "registry") } },
		http: { addr: `127.0.0.1:${port}` },
	};
	const file = path.join(directory, "registry.yml");
	fs.writeFileSync(file, JSON.stringify(configuration));
	const child = spawn("docker-registry", ["serve", file], { stdio: "ignore" });
	await waitFor("the registry", () => isListening(port));
	const host = `127.0.0.1:${port}`;
	for (const name of IMAGES) {
		const target = `docker://${host}/bench/${name}:1`;
		const words = [
			"copy",
			"--quiet",
			"--dest-tls-verify=false",
			`oci:${path.join(directory, name)}:1`,
			target,
		];
		const result = spawnSync("skopeo", words, { encoding: "utf8" });
		if (result.status !== 0) throw new Error(`skopeo ${words.join(" ")}:\n${result.stderr}`);
	}
	return { host, close: () => void child.kill("SIGKILL") };
}

function freePort(): Promise<number> {
	return new Promise((resolve, reject) => {
		const server = net.createServer().once("error", reject);
		server.listen(0, "127.0.0.1", () => {
			const { port } = server.address() as net.AddressInfo;
			server.close(() => resolve(port));
		});
	});
}
