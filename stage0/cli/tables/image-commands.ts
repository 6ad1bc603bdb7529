import { type CommandSpec, defineCommand } from "../command.ts";
import { duration, flag, text } from "../option.ts";
import { SIGNATURE } from "./app-options.ts";
import { FORMAT, FULL, NO_LEGEND, PRETTY_PRINT, PULL_OPTIONS, pullPolicy } from "./pod-options.ts";

const MANY = Number.MAX_SAFE_INTEGER;

const FETCH = {
	summary: "Fetch image(s) and store them in the local store",
	usage: "[flags] IMAGE [--signature=FILE] [IMAGE …]",
	description: `Finds, downloads and verifies images with their dependencies, and prints a hash for each.
IMAGE is an image name, a URL or a file path; a hash is only looked up.`,
	options: [flag("full", "print the full hash"), pullPolicy("update"), ...PULL_OPTIONS],
	appOptions: [SIGNATURE],
	grammar: "images",
	arguments: [0, MANY],
	completes: "images",
	load: async () => (await import("../commands/fetch.ts")).fetchImages,
} as const;

export const IMAGE_COMMANDS: readonly CommandSpec[] = [
	defineCommand({ name: "fetch", ...FETCH }),
	defineCommand({ name: "image fetch", ...FETCH, hidden: true }),
	defineCommand({
		name: "trust",
		summary: "Trust a key for image verification",
		usage: "[flags] [PUBLIC KEY …]",
		description: `PUBLIC KEY is a file or a URL; without one the keys of the prefix are discovered.
A key is trusted for images whose name begins with the prefix, or with --root for all images.
Keys are OpenPGP keys, or with --cosign public keys that cosign made, which sign images in registries.`,
		options: [
			text("prefix", "image name prefix that the key may sign"),
			flag("root", "trust the key for all images"),
			flag("cosign", "the key is a public key of cosign, in PEM"),
			flag("insecure-allow-http", "allow keys over plain http"),
			flag("skip-fingerprint-review", "trust without asking"),
		],
		arguments: [0, MANY],
		completes: "files",
		load: async () => (await import("../commands/trust.ts")).trustKeys,
	}),
	defineCommand({
		name: "image list",
		summary: "List images in the local store",
		usage: "[flags]",
		description: `Lists the images with size and times. The size is what an image takes of the disk, rendered form
included; the column shared says how much of it other images have too, as layers in common. The column kernel
says which kernel a stage1 image of virtual machines brings; with --full also what it was made from and its SHA-512.`,
		options: [
			text("fields", "comma-separated columns: id, name, size, shared, importtime, lastused, kernel", {
				default: "id,name,size,importtime,lastused",
			}),
			text("sort", "comma-separated columns to sort by: name, importtime, lastused, size, shared", {
				default: "importtime",
			}),
			text("order", "asc or desc", { default: "asc", choices: ["asc", "desc"] }),
			NO_LEGEND,
			FULL,
			FORMAT,
		],
		load: async () => (await import("../commands/image-list.ts")).listImages,
	}),
	defineCommand({
		name: "image rm",
		summary: "Remove one or more images with the given IDs or image names from the local store",
		usage: "IMAGE …",
		description: "Removes images; pods that were made from them keep running.",
		arguments: [1, MANY],
		completes: "images",
		load: async () => (await import("../commands/image-rm.ts")).removeImages,
	}),
	defineCommand({
		name: "image cat-manifest",
		summary: "Inspect and print the image manifest",
		usage: "[flags] IMAGE",
		description: "Prints the manifest of an image.",
		options: [PRETTY_PRINT],
		arguments: [1, 1],
		completes: "images",
		load: async () => (await import("../commands/image-cat-manifest.ts")).catImageManifest,
	}),
	defineCommand({
		name: "image import",
		summary: "Import images from files into the local store",
		usage: "[flags] FILE|DIRECTORY [--signature=FILE] [FILE|DIRECTORY …]",
		description: `Puts images into the store without their dependencies, whatever they are called, and prints a hash for each:
ACIs, OCI layouts, the same in tar archives, and what docker save and podman save write. Where a file holds several
images, oci:, oci-archive: or docker-archive: in front and :NAME behind the path choose one.`,
		options: [flag("full", "print the full hash")],
		appOptions: [SIGNATURE],
		grammar: "images",
		arguments: [0, MANY],
		completes: "files",
		load: async () => (await import("../commands/image-import.ts")).importImages,
	}),
	defineCommand({
		name: "image inspect",
		summary: "Show everything about images in the local store",
		usage: "[flags] IMAGE …",
		description: `Prints where images come from, whether their signatures were verified, their digests and layers, what each
layer takes of the disk and which other images have it, and how the app is run.`,
		options: [FORMAT],
		arguments: [1, MANY],
		completes: "images",
		load: async () => (await import("../commands/image-inspect.ts")).inspectImages,
	}),
	defineCommand({
		name: "image gc",
		summary: "Garbage collect images in the local store",
		usage: "[flags]",
		description:
			"Removes rendered images that no pod uses, and images that were not used for the grace period.",
		options: [duration("grace-period", "how long an unused image is kept", { default: "24h0m0s" })],
		load: async () => (await import("../commands/image-gc.ts")).collectImages,
	}),
	defineCommand({
		name: "image verify",
		summary: "Verify one or more rendered images in the local store",
		usage: "IMAGE …",
		description:
			"Compares rendered images with the hash taken when they were rendered, and rebuilds damaged ones.",
		arguments: [1, MANY],
		completes: "images",
		load: async () => (await import("../commands/image-verify.ts")).verifyImages,
	}),
	defineCommand({
		name: "image export",
		summary: "Export a stored image to an ACI file",
		usage: "[flags] IMAGE FILE",
		description: `Writes an image as an uncompressed ACI. One that was made from layers becomes a single archive with an ID of
its own; the same image always gives the same file.`,
		options: [flag("overwrite", "replace an existing file")],
		arguments: [2, 2],
		completes: "images",
		load: async () => (await import("../commands/image-export.ts")).exportImage,
	}),
	defineCommand({
		name: "image extract",
		summary: "Extract a stored image to a directory",
		usage: "[flags] IMAGE DIRECTORY",
		description: "Unpacks one image without its dependencies.",
		options: [
			flag("rootfs-only", "write only the root file system"),
			flag("overwrite", "replace an existing directory"),
		],
		arguments: [2, 2],
		completes: "images",
		load: async () => (await import("../commands/image-extract.ts")).extractImage,
	}),
	defineCommand({
		name: "image render",
		summary: "Render a stored image to a directory with all its dependencies",
		usage: "[flags] IMAGE DIRECTORY",
		description: "Unpacks an image together with its dependencies, as a pod sees it.",
		options: [
			flag("rootfs-only", "write only the root file system"),
			flag("overwrite", "replace an existing directory"),
		],
		arguments: [2, 2],
		completes: "images",
		load: async () => (await import("../commands/image-render.ts")).renderImage,
	}),
];
