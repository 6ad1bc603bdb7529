import type { Annotation } from "../../appc/schema/common.ts";
import type { Isolator } from "../../appc/schema/isolators.ts";
import type { Mount } from "../../appc/schema/pod-manifest.ts";

/** A limit of the command line. */
export interface IsolatorOverride {
	readonly isolator: Isolator;
	/** Names of the image's isolators that it takes the place of. */
	readonly replaces: readonly string[];
}

/** What the command line says about one app; undefined leaves it to the image. */
export interface AppOverrides {
	readonly name: string | undefined;
	/** Takes the place of the image's whole exec list. */
	readonly exec: string | undefined;
	/** Appended to the exec list. */
	readonly args: readonly string[];
	/** Its own and those for all apps. */
	readonly mounts: readonly Mount[];
	readonly user: string | undefined;
	readonly group: string | undefined;
	readonly supplementaryGIDs: readonly number[] | undefined;
	readonly workingDirectory: string | undefined;
	readonly readOnlyRootFS: boolean | undefined;
	readonly environment: ReadonlyMap<string, string>;
	readonly annotations: readonly Annotation[];
	readonly userAnnotations: Readonly<Record<string, string>> | undefined;
	readonly userLabels: Readonly<Record<string, string>> | undefined;
	readonly isolators: readonly IsolatorOverride[];
}
