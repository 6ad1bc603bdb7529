import * as fs from "node:fs";
import * as path from "node:path";
import { DEFAULT_VOLUME_MODE, type Volume } from "../../appc/schema/pod-manifest.ts";
import { sharedVolumePath } from "../pod-paths.ts";

/**
 * The directory on the host of an empty volume, made with its mode and owner when this is the first app that uses it.
 * `shift` is what the pod's user namespace adds to ids.
 */
export function ensureEmptyVolume(pod: string, volume: Volume, shift = 0): string {
	const directory = sharedVolumePath(pod, volume.name);
	if (fs.existsSync(directory)) return directory;
	const temporary = `${directory}.new`;
	fs.rmSync(temporary, { recursive: true, force: true });
	fs.mkdirSync(path.dirname(directory), { recursive: true, mode: 0o755 });
	fs.mkdirSync(temporary, { mode: 0o700 });
	fs.chownSync(temporary, (volume.uid ?? 0) + shift, (volume.gid ?? 0) + shift);
	fs.chmodSync(temporary, Number.parseInt(volume.mode ?? DEFAULT_VOLUME_MODE, 8));
	fs.renameSync(temporary, directory);
	return directory;
}
