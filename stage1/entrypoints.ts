import type { ImageManifest } from "../appc/schema/image-manifest.ts";
import type { PodManifest } from "../appc/schema/pod-manifest.ts";
import { fail } from "../lib/errors.ts";
import type { Syscall } from "../lib/syscall/syscall.ts";

/** The entry points that stage0 can start, by the annotation of the stage1 image that names the executable. */
export const ENTRYPOINT_ANNOTATIONS = {
	run: "coreos.com/rkt/stage1/run",
	enter: "coreos.com/rkt/stage1/enter",
	gc: "coreos.com/rkt/stage1/gc",
	stop: "coreos.com/rkt/stage1/stop",
} as const;

export type EntrypointName = keyof typeof ENTRYPOINT_ANNOTATIONS;

/** Integer annotation; a stage1 image without it speaks version 1. */
export const INTERFACE_VERSION_ANNOTATION = "coreos.com/rkt/stage1/interface-version";

/** The interface version that our own stage1 images implement. */
export const INTERFACE_VERSION = 6;

/**
 * Our own annotation: the path inside the stage1 root file system of a CommonJS module with the same code as
 * the entry points. It exports {@link Stage1Module}. stage0 loads it from the read-only tree store.
 */
export const MODULE_ANNOTATION = "rkt.io/stage1/module";

/**
 * Our own annotation, `true` for an image whose pods have a boundary behind which no user is one of the host's:
 * stage0 then gives them no range of ids for `--private-users`.
 */
export const OWN_USERS_ANNOTATION = "rkt.io/stage1/own-users";

/** What stage0 hands to a stage1 module beside the arguments. */
export interface Stage1Context {
	/** Absolute path of the pod directory; the working directory is there too. */
	readonly podDirectory: string;
	/** The environment for the entry point: the caller's, with RKT_LOCK_FD for `run`. */
	readonly environment: Record<string, string>;
	readonly shared?: SharedState | undefined;
}

/** The manifests of a pod as the schemas read them; those of images by the name of the app. */
export interface ReadManifests {
	readonly pod: PodManifest;
	readonly images: ReadonlyMap<string, ImageManifest>;
}

/** What stage0 has at hand already. It means the same only to a module of the same release. */
export interface SharedState {
	/** RKT_VERSION of stage0. */
	readonly version: string;
	readonly syscall: Syscall;
	/** What stage0 just wrote to the pod directory; undefined when it was prepared before. */
	readonly manifests?: ReadManifests | undefined;
}

/** The module named by {@link MODULE_ANNOTATION}. */
export interface Stage1Module {
	/**
	 * Does what the executable entry point of that name does; `argv` starts after argv[0]. Gives the exit
	 * status; `run` and `enter` replace the process and come back only when they fail.
	 */
	main(entrypoint: EntrypointName, argv: string[], context: Stage1Context): Promise<number>;
}

/** Absolute paths inside the stage1 root file system. */
export interface Entrypoints {
	readonly run: string;
	readonly enter: string | undefined;
	readonly gc: string | undefined;
	readonly stop: string | undefined;
	readonly module: string | undefined;
	readonly interfaceVersion: number;
}

/** The part of an image manifest that is read here. */
export interface AnnotatedManifest {
	readonly name: string;
	readonly annotations?: ReadonlyArray<{ readonly name: string; readonly value: string }> | undefined;
}

/**
 * The entry points of a stage1 image. Errors: `stage1-entrypoint-missing` without `run`,
 * `stage1-entrypoint-invalid` for a path that is relative or leaves the image, or a version that is no integer.
 */
export function readEntrypoints(manifest: AnnotatedManifest): Entrypoints {
	const path = (annotation: string): string | undefined => readPath(manifest, annotation);
	const run = path(ENTRYPOINT_ANNOTATIONS.run);
	if (run === undefined) {
		fail("stage1-entrypoint-missing", `${manifest.name} has no annotation ${ENTRYPOINT_ANNOTATIONS.run}`, {
			hint: "choose a stage1 image with --stage1-name, --stage1-path or --stage1-from-dir",
		});
	}
	return {
		run,
		enter: path(ENTRYPOINT_ANNOTATIONS.enter),
		gc: path(ENTRYPOINT_ANNOTATIONS.gc),
		stop: path(ENTRYPOINT_ANNOTATIONS.stop),
		module: path(MODULE_ANNOTATION),
		interfaceVersion: readInterfaceVersion(manifest),
	};
}

/** The value of an annotation, undefined without it. */
export function annotationValue(manifest: AnnotatedManifest, name: string): string | undefined {
	return manifest.annotations?.find((annotation) => annotation.name === name)?.value;
}

export function hasOwnUsers(manifest: AnnotatedManifest): boolean {
	return annotationValue(manifest, OWN_USERS_ANNOTATION) === "true";
}

function readPath(manifest: AnnotatedManifest, annotation: string): string | undefined {
	const value = annotationValue(manifest, annotation);
	if (value === undefined) return undefined;
	const safe = value.startsWith("/") && !value.includes("\0") && !value.split("/").includes("..");
	if (safe) return value;
	return fail("stage1-entrypoint-invalid", `${manifest.name}: ${annotation} is no absolute path: ${value}`);
}

function readInterfaceVersion(manifest: AnnotatedManifest): number {
	const value = annotationValue(manifest, INTERFACE_VERSION_ANNOTATION);
	if (value === undefined) return 1;
	if (/^[0-9]{1,6}$/.test(value)) return Number(value);
	return fail(
		"stage1-entrypoint-invalid",
		`${manifest.name}: ${INTERFACE_VERSION_ANNOTATION} is no integer: ${value}`,
	);
}
