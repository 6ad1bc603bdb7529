import type { CommandSpec } from "./command.ts";
import { IMAGE_COMMANDS } from "./tables/image-commands.ts";
import { OTHER_COMMANDS } from "./tables/other-commands.ts";
import { POD_COMMANDS } from "./tables/pod-commands.ts";
import { POLICY_COMMANDS } from "./tables/policy-commands.ts";

/** Every command of rkt by its full name. */
export const COMMANDS: readonly CommandSpec[] = [
	...POD_COMMANDS,
	...IMAGE_COMMANDS,
	...POLICY_COMMANDS,
	...OTHER_COMMANDS,
].sort((a, b) => (a.name < b.name ? -1 : 1));

/** The commands that only hold others, with the line that the help shows for them. */
export const GROUPS: Readonly<Record<string, string>> = {
	generate: "Generate files for other programs",
	image: "Operate on image(s) in the local store",
	policy: "Look at the policy of this machine",
};
