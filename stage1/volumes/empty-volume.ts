import * as fs from "node:fs";
import * as path from "node:path";
import { DEFAULT_VOLUME_MODE, type Volume } from "../../appc/schema/pod-manifest.ts";
import { fail } from "../../lib/errors.ts";
import { runCommand } from "../../lib/process.ts";
import type { AppRoot } from "../apps/app-root.ts";
import { sharedVolumePath } from "../pod-paths.ts";

export interface EmptyVolumeOptions {
	/** What the pod's user namespace adds to ids. */
	readonly shift: number;
	/** A directory of an image whose content, mode and owner the volume starts with, as docker has it. */
	readonly contentOf?: { readonly root: AppRoot; readonly path: string };
}

/**
 * The directory on the host of an empty volume, made with its mode and owner when this is the first app that uses it.
 * Errors: `volume-copy-failed`.
 */
export function ensureEmptyVolume(pod: string, volume: Volume, options: EmptyVolumeOptions): string {
	const directory = sharedVolumePath(pod, volume.name);
	if (fs.existsSync(directory)) return directory;
	const temporary = `${directory}.new`;
	fs.rmSync(temporary, { recursive: true, force: true });
	fs.mkdirSync(path.dirname(directory), { recursive: true, mode: 0o755 });
	fs.mkdirSync(temporary, { mode: 0o700 });
	fs.chownSync(temporary, (volume.uid ?? 0) + options.shift, (volume.gid ?? 0) + options.shift);
	fs.chmodSync(temporary, Number.parseInt(volume.mode ?? DEFAULT_VOLUME_MODE, 8));
	if (options.contentOf) copyContent(options.contentOf.root, options.contentOf.path, temporary);
	fs.renameSync(temporary, directory);
	return directory;
}

/** cp(1) gets the directory by its descriptor: no link of the image is followed on the way there. */
function copyContent(root: AppRoot, source: string, directory: string): void {
	const fd = root.open(source);
	if (fd === undefined) return;
	try {
		const stat = fs.fstatSync(fd);
		if (!stat.isDirectory()) return;
		const from = `/proc/${process.pid}/fd/${fd}/.`;
		const result = runCommand("cp", ["-a", "--one-file-system", "--", from, directory]);
		if (result.status !== 0) {
			fail("volume-copy-failed", `the content of ${source} in the image cannot be copied: ${result.stderr}`);
		}
	} finally {
		fs.closeSync(fd);
	}
}
