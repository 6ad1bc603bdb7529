import { isDockerImage } from "../../appc/oci/oci-annotations.ts";
import { fail } from "../../lib/errors.ts";
import type { PodApp } from "../pod.ts";
import { DEFAULT_PATH } from "./app-environment.ts";
import type { AppRoot } from "./app-root.ts";

/** Where a bare name is looked for when the app sets no PATH, after its working directory; not for docker images. */
const FALLBACK_DIRECTORIES = ["/bin", "/usr/bin"];

/**
 * The program of an app with its path resolved as pod.md section 4.2 of the reference says: absolute as it is, with a
 * slash relative to the working directory, a bare name searched.
 * Errors: `app-exec-empty`, `app-exec-not-found`.
 */
export function resolveExec(podApp: PodApp, root: AppRoot): string[] {
	const [program = "", ...rest] = podApp.app.exec;
	if (program === "") {
		fail("app-exec-empty", `image "${podApp.image.name}" has an empty "exec" (try --exec=BINARY)`);
	}
	return [findProgram(podApp, program, root), ...rest];
}

/** The same for a hook, which has no working directory of its own. */
export function resolveHook(podApp: PodApp, hook: "pre-start" | "post-stop", root: AppRoot): string[] {
	const [program, ...rest] = podApp.app.eventHandlers.find(({ name }) => name === hook)?.exec ?? [];
	return program === undefined ? [] : [findProgram(podApp, program, root), ...rest];
}

function findProgram(podApp: PodApp, program: string, root: AppRoot): string {
	const candidates = candidatesFor(podApp, program);
	const files = candidates.filter((candidate) => root.stat(candidate)?.isFile());
	const found = files.find((file) => ((root.stat(file)?.mode ?? 0) & 0o111) !== 0) ?? files[0];
	if (found !== undefined) return found;
	return fail("app-exec-not-found", `app ${podApp.name}: unable to find "${program}" in the image`, {
		hint: candidates.length > 1 ? `looked for ${candidates.join(", ")}` : "check --exec and the image",
	});
}

function candidatesFor({ app, image }: PodApp, program: string): string[] {
	const directory = app.workingDirectory || "/";
	if (program.startsWith("/")) return [program];
	if (program.includes("/")) return [join(directory, program)];
	const path =
		app.environment.find(({ name }) => name === "PATH")?.value ??
		(isDockerImage(image) ? DEFAULT_PATH : undefined);
	const directories = path === undefined ? [directory, ...FALLBACK_DIRECTORIES] : path.split(":");
	return directories.map((entry) => join(join(directory, entry), program));
}

function join(base: string, entry: string): string {
	if (entry.startsWith("/")) return entry;
	return entry === "" ? base : `${base.replace(/\/+$/, "")}/${entry}`;
}
