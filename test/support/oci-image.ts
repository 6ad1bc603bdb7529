import { type OciLayer, sha256 } from "./oci-layer.ts";

/** Reference to a blob, as manifests and indexes have it. */
export interface TestDescriptor {
	readonly mediaType: string;
	readonly digest: string;
	readonly size: number;
	readonly platform?: TestPlatform;
	readonly annotations?: Record<string, string>;
}

export interface TestPlatform {
	readonly os: string;
	readonly architecture: string;
	readonly variant?: string;
}

export interface OciImageOptions {
	/** Bottom first. */
	readonly layers: readonly OciLayer[];
	/** The member `config`: Cmd, Env, User and so on. Null leaves it out. */
	readonly config?: Record<string, unknown> | null;
	/** More members of the configuration file, or others for the usual ones. */
	readonly configFile?: Record<string, unknown>;
	/** More members of the manifest, or others for the usual ones. */
	readonly manifest?: Record<string, unknown>;
	/** Default: the platform of this machine. */
	readonly platform?: TestPlatform;
	/** Media types of docker's schema 2 instead of OCI's. */
	readonly docker?: boolean;
}

/** An image as it lies in a registry: blobs by digest, and the manifest that names them. */
export interface TestOciImage {
	readonly manifest: Buffer;
	readonly manifestType: string;
	readonly manifestDigest: string;
	readonly config: Buffer;
	readonly configDigest: string;
	readonly layers: readonly OciLayer[];
	readonly platform: TestPlatform;
	/** Everything but the manifest. */
	readonly blobs: ReadonlyMap<string, Buffer>;
}

const OCI = "application/vnd.oci.image";
const DOCKER = "application/vnd.docker";

export const OCI_INDEX = `${OCI}.index.v1+json`;
export const DOCKER_LIST = `${DOCKER}.distribution.manifest.list.v2+json`;

/** The platform of this machine in Go's words. */
export function hostPlatform(): TestPlatform {
	return process.arch === "arm64"
		? { os: "linux", architecture: "arm64", variant: "v8" }
		: { os: "linux", architecture: "amd64" };
}

/** An image with right digests and sizes everywhere, unless an option says otherwise. */
export function makeOciImage(options: OciImageOptions): TestOciImage {
	const { layers, docker = false, platform = hostPlatform() } = options;
	const config = json({
		created: "2024-01-02T03:04:05Z",
		...platform,
		...(options.config === null ? {} : { config: options.config ?? { Cmd: ["/bin/true"] } }),
		rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
		history: layers.map((_, index) => ({ created: "2024-01-02T03:04:05Z", created_by: `layer ${index}` })),
		...options.configFile,
	});
	const manifestType = docker ? `${DOCKER}.distribution.manifest.v2+json` : `${OCI}.manifest.v1+json`;
	const manifest = json({
		schemaVersion: 2,
		mediaType: manifestType,
		config: descriptor(docker ? `${DOCKER}.container.image.v1+json` : `${OCI}.config.v1+json`, config),
		layers: layers.map((layer) => descriptor(docker ? dockerLayerType(layer) : layer.mediaType, layer.blob)),
		...options.manifest,
	});
	return {
		manifest,
		manifestType,
		manifestDigest: sha256(manifest),
		config,
		configDigest: sha256(config),
		layers,
		platform,
		blobs: new Map([[sha256(config), config], ...layers.map((layer) => [layer.digest, layer.blob] as const)]),
	};
}

/** An index (or docker's manifest list) of these images. */
export function makeIndex(images: readonly TestOciImage[], mediaType = OCI_INDEX): Buffer {
	return json({ schemaVersion: 2, mediaType, manifests: images.map((image) => manifestDescriptor(image)) });
}

/** How an index names an image. */
export function manifestDescriptor(
	image: TestOciImage,
	annotations?: Record<string, string>,
): TestDescriptor {
	const { manifestType, manifest, platform } = image;
	return { ...descriptor(manifestType, manifest), platform, ...(annotations ? { annotations } : {}) };
}

export function descriptor(mediaType: string, bytes: Buffer): TestDescriptor {
	return { mediaType, digest: sha256(bytes), size: bytes.length };
}

export const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

function dockerLayerType({ mediaType }: OciLayer): string {
	const suffix = mediaType.endsWith("+gzip") ? ".gzip" : mediaType.endsWith("+zstd") ? ".zstd" : "";
	return `${DOCKER}.image.rootfs.diff.tar${suffix}`;
}
