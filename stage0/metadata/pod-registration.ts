import * as fs from "node:fs";
import * as podPaths from "../../stage1/pod-paths.ts";
import type { PodPlace } from "../pod/pod-directories.ts";
import { type ClientOptions, registerPod, unregisterPod } from "./client.ts";

/**
 * Registers a prepared pod with the metadata service and gives its token. The mark comes first: a pod that is
 * registered and not marked would never be unregistered. After a failure there is neither.
 * Errors: `metadata-service-missing`, `metadata-registration-refused`.
 */
export async function registerPreparedPod(
	{ uuid, directory }: PodPlace,
	apps: readonly string[],
	options?: ClientOptions,
): Promise<string> {
	const mark = podPaths.metadataRegisteredPath(directory);
	const manifest = fs.readFileSync(podPaths.podManifestPath(directory));
	const images = new Map(
		apps.map((app) => [app, fs.readFileSync(podPaths.appImageManifestPath(directory, app))]),
	);
	fs.writeFileSync(mark, "", { mode: 0o600 });
	try {
		return await registerPod({ uuid, manifest, images }, options);
	} catch (error) {
		await unregisterPod(uuid, options).then(
			() => fs.rmSync(mark, { force: true }),
			() => undefined,
		);
		throw error;
	}
}
