import * as fs from "node:fs";
import * as path from "node:path";
import { RktError } from "../../lib/errors.ts";
import { type Syscall, SyscallError } from "../../lib/syscall/syscall.ts";

/** One overlay: the rendered image below, the pod's own directories above. */
export interface Overlay {
	/** Read-only tree of the image; a directory that may be an idmapped mount. */
	readonly lower: string;
	readonly upper: string;
	readonly work: string;
	readonly target: string;
}

/**
 * Makes the upper and work directories. The upper one becomes the root directory of what the app sees, so it
 * gets mode and owner of the image's; `shift` is added to user and group. The set-group-id bit that a data
 * directory may pass on is taken away.
 */
export function makeOverlayDirectories(
	overlay: Pick<Overlay, "upper" | "work">,
	rootfs: string,
	shift: number,
): void {
	const root = fs.statSync(rootfs);
	for (const directory of [overlay.upper, overlay.work]) {
		fs.mkdirSync(directory, { recursive: true, mode: 0o750 });
	}
	fs.chownSync(overlay.upper, root.uid + shift, root.gid + shift);
	fs.chmodSync(overlay.upper, root.mode & 0o7777 & ~0o2000);
	fs.chownSync(overlay.work, shift, shift);
}

/** Mounts it; the target directory must exist. Errors: `overlay-mount-failed`. */
export function mountOverlay(syscall: Syscall, overlay: Overlay): void {
	const options = [
		`lowerdir=${escapeOption(overlay.lower)}`,
		`upperdir=${escapeOption(overlay.upper)}`,
		`workdir=${escapeOption(overlay.work)}`,
	].join(",");
	try {
		syscall.mount("overlay", overlay.target, "overlay", 0, options);
	} catch (error) {
		if (!(error instanceof SyscallError)) throw error;
		throw new RktError(
			"overlay-mount-failed",
			`cannot mount an overlay on ${overlay.target}: ${error.code}`,
			{
				hint: "see the kernel's reason with dmesg, or use --no-overlay",
				cause: error,
			},
		);
	}
}

/** A colon separates lower directories and a comma options (Documentation/filesystems/overlayfs.rst). */
function escapeOption(directory: string): string {
	return path.normalize(directory).replace(/[\\,:]/g, "\\$&");
}
