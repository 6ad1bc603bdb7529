import * as os from "node:os";
import type { OciDescriptor, OciPlatform } from "./descriptor.ts";
import { isIndexType, isManifestType } from "./media-types.ts";

/** What may run on a machine, in Go's words. */
export interface RunnablePlatform {
	readonly os: string;
	readonly architecture: string;
	/** Best first; "" is an entry that names no variant. */
	readonly variants: readonly string[];
}

export function hostPlatform(): RunnablePlatform {
	return runnablePlatform(process.platform, process.arch, os.endianness());
}

/** Node's names as Go's; `armVersion` is what Node was built for. */
export function runnablePlatform(
	system: string,
	arch: string,
	endianness: "LE" | "BE",
	armVersion = String((process.config.variables as { arm_version?: unknown }).arm_version ?? "6"),
): RunnablePlatform {
	const plain = (architecture: string) => ({ os: system, architecture, variants: [""] });
	switch (arch) {
		case "x64":
			return { os: system, architecture: "amd64", variants: ["", "v1"] };
		case "ia32":
			return plain("386");
		case "arm64":
			return { os: system, architecture: "arm64", variants: ["v8", ""] };
		case "arm":
			return {
				os: system,
				architecture: "arm",
				variants: armVersion === "7" ? ["v7", "", "v6", "v5"] : ["v6", "v5"],
			};
		case "ppc64":
			return plain(endianness === "BE" ? "ppc64" : "ppc64le");
		case "mips64el":
			return plain("mips64le");
		default:
			return plain(arch);
	}
}

/**
 * The entries of an index that are images, or indexes of them. Beside these, buildx puts attestations there under a
 * platform that is none.
 */
export function imagesOf(entries: readonly OciDescriptor[]): readonly OciDescriptor[] {
	return entries.filter(
		({ mediaType, platform, annotations }) =>
			(isManifestType(mediaType) || isIndexType(mediaType)) &&
			platform?.os !== "unknown" &&
			annotations?.["vnd.docker.reference.type"] !== "attestation-manifest",
	);
}

/**
 * The entry of an index for a platform: the best variant, among equals the first. An entry that names no platform is
 * taken when it is the only image.
 */
export function choosePlatform(
	entries: readonly OciDescriptor[],
	wanted: RunnablePlatform,
): OciDescriptor | undefined {
	const images = imagesOf(entries);
	const fitting = images.filter(
		({ platform }) => platform?.os === wanted.os && platform.architecture === wanted.architecture,
	);
	const rank = (entry: OciDescriptor) => wanted.variants.indexOf(entry.platform?.variant ?? "");
	const [best] = fitting.filter((entry) => rank(entry) !== -1).sort((a, b) => rank(a) - rank(b));
	const [only, other] = images;
	return best ?? (only && !other && !only.platform?.architecture ? only : undefined);
}

/** `linux/arm/v7`. */
export function formatPlatform({ os: system, architecture, variant }: OciPlatform): string {
	return [system, architecture, ...(variant ? [variant] : [])].join("/");
}
