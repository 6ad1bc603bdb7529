import * as fs from "node:fs";
import * as path from "node:path";
import { RktError } from "../../lib/errors.ts";
import { workingDirectory } from "../../lib/files.ts";
import { type Syscall, SyscallError } from "../../lib/syscall/syscall.ts";

/** One overlay: the rendered image below, the pod's own directories above. */
export interface Overlay {
	/** Read-only directories whose union is the image, uppermost first; they may be idmapped mounts. */
	readonly lowers: readonly string[];
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

/** Whatever the kernel's defaults are, the upper directory holds whole files at their own paths: `rkt export` reads it. */
const PLAIN_UPPER = "redirect_dir=off,metacopy=off";

/** Mounts it; the target directory must exist. Errors: `overlay-mount-failed`. */
export function mountOverlay(syscall: Syscall, overlay: Overlay): void {
	const { lowers, upper, work, target } = overlay;
	const mount = (lower: string): void => {
		const options = [
			`lowerdir=${lower}`,
			`upperdir=${escapeOption(upper)}`,
			`workdir=${escapeOption(work)}`,
			PLAIN_UPPER,
		].join(",");
		syscall.mount("overlay", target, "overlay", 0, options);
	};
	try {
		if (lowers.length === 1) mount(escapeOption(lowers[0] ?? ""));
		else withShortNames(lowers, work, (names) => mount(names.join(":")));
	} catch (error) {
		if (!(error instanceof SyscallError)) throw error;
		throw new RktError("overlay-mount-failed", `cannot mount an overlay on ${target}: ${error.code}`, {
			hint: "see the kernel's reason with dmesg, or use --no-overlay",
			cause: error,
		});
	}
}

/**
 * The kernel takes one page of options, and the paths of fifty layers are longer: links with short names stand for
 * them, relative to the working directory.
 */
function withShortNames(
	directories: readonly string[],
	beside: string,
	action: (names: readonly string[]) => void,
): void {
	const links = `${path.normalize(beside)}.lowers`;
	const before = workingDirectory();
	fs.rmSync(links, { recursive: true, force: true });
	fs.mkdirSync(links, { mode: 0o700 });
	try {
		for (const [index, directory] of directories.entries())
			fs.symlinkSync(path.resolve(directory), path.join(links, String(index)));
		process.chdir(links);
		action(directories.map((_, index) => String(index)));
	} finally {
		process.chdir(before);
		fs.rmSync(links, { recursive: true, force: true });
	}
}

/** A colon separates lower directories and a comma options (Documentation/filesystems/overlayfs.rst). */
function escapeOption(directory: string): string {
	return path.resolve(directory).replace(/[\\,:]/g, "\\$&");
}
