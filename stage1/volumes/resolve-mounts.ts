import type { Volume } from "../../appc/schema/pod-manifest.ts";
import { fail } from "../../lib/errors.ts";
import type { PodApp } from "../pod.ts";

/** A volume at a place in an app. */
export interface AppMount {
	readonly volume: Volume;
	/** Absolute path in the app's root, with links of the image. */
	readonly path: string;
	readonly readOnly: boolean;
	/** Made up because the image has a mount point that nobody gave a volume for. */
	readonly implicit: boolean;
}

/**
 * The mounts of an app (pod.md section 4.6 of the reference): those of the pod manifest, then the mount points of the
 * image at other paths, with the pod's volume of the same name or an empty one. Ordered by path, so that a mount below
 * another comes after it. Errors: `volume-not-found`.
 */
export function resolveMounts(podApp: PodApp, volumes: readonly Volume[]): AppMount[] {
	const mounts = podApp.runtime.mounts.map((mount): AppMount => {
		const volume = mount.appVolume ?? volumes.find(({ name }) => name === mount.volume);
		if (volume === undefined) {
			fail("volume-not-found", `app ${podApp.name}: could not find volume "${mount.volume}"`, {
				hint: `add --volume ${mount.volume},kind=host,source=PATH or kind=empty`,
			});
		}
		const point = podApp.app.mountPoints.find(({ name }) => name === mount.volume);
		const readOnly = volume.readOnly ?? point?.readOnly ?? false;
		return { volume, path: absolute(mount.path), readOnly, implicit: false };
	});
	const taken = new Set(mounts.map(({ path }) => trimmed(path)));
	for (const point of podApp.app.mountPoints) {
		if (taken.has(trimmed(absolute(point.path)))) continue;
		taken.add(trimmed(absolute(point.path)));
		const volume = volumes.find(({ name }) => name === point.name);
		mounts.push({
			volume: volume ?? { name: `${podApp.name}-${point.name}`, kind: "empty" },
			path: absolute(point.path),
			readOnly: volume?.readOnly ?? point.readOnly,
			implicit: volume === undefined,
		});
	}
	return mounts.sort((a, b) => compare(trimmed(a.path), trimmed(b.path)));
}

function compare(a: string, b: string): number {
	return a < b ? -1 : Number(a > b);
}

function absolute(path: string): string {
	return path.startsWith("/") ? path : `/${path}`;
}

function trimmed(path: string): string {
	return path.replace(/\/+/g, "/").replace(/(.)\/$/, "$1");
}
