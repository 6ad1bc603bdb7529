import { type PodManifest, parsePodManifest } from "../../appc/schema/pod-manifest.ts";
import { fail, messageOf } from "../../lib/errors.ts";
import { readTextUpTo } from "../../lib/files.ts";
import type { ImageStore } from "../store/image-store.ts";

const LIMIT = 4 * 1024 * 1024;

/**
 * Reads the file of --pod-manifest; its text is stored unchanged. Every image must be in the store, and every
 * app must say how to run, itself or through its image.
 * Errors: `pod-manifest-unreadable`, `manifest-invalid`, `pod-without-app`, `image-without-app`,
 * `image-not-found`.
 */
export async function readReadyManifest(
	file: string,
	store: ImageStore,
): Promise<{ text: string; manifest: PodManifest }> {
	const text = readManifestFile(file);
	const manifest = parsePodManifest(text, file);
	if (manifest.apps.length === 0) {
		fail("pod-without-app", `${file}: pod must contain at least one application`, {
			hint: 'name an image in "apps"',
		});
	}
	for (const app of manifest.apps) {
		const image = await store.manifest(store.resolveKey(app.image.id));
		if ((app.app ?? image.app)?.exec.length) continue;
		fail("image-without-app", `${file}: the app ${app.name} has no program, neither here nor in its image`, {
			hint: 'add "app" with "exec" to it',
		});
	}
	return { text, manifest };
}

function readManifestFile(file: string): string {
	let text: string | undefined;
	try {
		text = readTextUpTo(file, LIMIT);
	} catch (error) {
		return fail("pod-manifest-unreadable", `cannot read the pod manifest ${file}: ${messageOf(error)}`, {
			hint: "--pod-manifest takes the path of a JSON file",
			cause: error,
		});
	}
	return text ?? fail("pod-manifest-unreadable", `the pod manifest ${file} is larger than 4 MiB`);
}
