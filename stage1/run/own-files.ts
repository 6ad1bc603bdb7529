import * as path from "node:path";

/** The directory in the stage1 image that holds this module and the programs that come with it. */
export function ownDirectory(): string {
	return __dirname;
}

/**
 * The root of the stage1 image that this module was loaded from; undefined when that is the pod's own copy, of which
 * nothing may be used on the host after the pod has run.
 */
export function ownStage1Root(pod: string): string | undefined {
	const root = path.dirname(ownDirectory());
	return root.startsWith(`${pod}/`) ? undefined : root;
}
