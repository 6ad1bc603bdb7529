import { type AnnotatedManifest, annotationValue } from "./entrypoints.ts";

/** The kernel that the pods of a stage1 image boot. */
export interface GuestKernel {
	/** As `uname -r` says it in the pod. */
	readonly release: string;
	/** What it was made from: packages of the distribution with their versions, or a configuration of this project. */
	readonly source: string;
	/** Of the file that is booted, 128 hexadecimal digits. */
	readonly sha512: string;
}

/** Our own annotations of a stage1 image that brings a kernel, so that nobody has to read its files. */
export const KERNEL_ANNOTATIONS = {
	release: "rkt.io/stage1/kernel-release",
	source: "rkt.io/stage1/kernel-source",
	sha512: "rkt.io/stage1/kernel-sha512",
} as const satisfies Record<keyof GuestKernel, string>;

export function kernelAnnotations(kernel: GuestKernel): { name: string; value: string }[] {
	const names = Object.keys(KERNEL_ANNOTATIONS) as (keyof GuestKernel)[];
	return names.map((name) => ({ name: KERNEL_ANNOTATIONS[name], value: kernel[name] }));
}

/**
 * The kernel that an image says it brings; undefined for one that brings none, or that says it in another form: what
 * is shown to people is one printable line.
 */
export function readGuestKernel(manifest: AnnotatedManifest): GuestKernel | undefined {
	const value = (name: keyof GuestKernel): string =>
		annotationValue(manifest, KERNEL_ANNOTATIONS[name]) ?? "";
	const kernel = { release: value("release"), source: value("source"), sha512: value("sha512") };
	const printable = [kernel.release, kernel.source].every((text) => /^[\x20-\x7e]{1,256}$/.test(text));
	return printable && /^[0-9a-f]{128}$/.test(kernel.sha512) ? kernel : undefined;
}
