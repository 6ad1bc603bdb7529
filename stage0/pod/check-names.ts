import type { PodManifest } from "../../appc/schema/pod-manifest.ts";
import { fail } from "../../lib/errors.ts";

/** Names become directories, and with `.service` behind them units; both may have 255 bytes (unit(5), open(2)). */
const NAME_MAX = 200;

/** The specification sets no limit for names, the file system does. Errors: `pod-name-too-long`. */
export function checkNames(manifest: PodManifest): void {
	for (const { name } of manifest.apps)
		checkName("app", name, "give it another: --name=NAME after the image");
	for (const { name } of manifest.volumes) checkName("volume", name, "give it a shorter one");
}

function checkName(what: string, name: string, hint: string): void {
	if (name.length <= NAME_MAX) return;
	fail(
		"pod-name-too-long",
		`the name of the ${what} ${name.slice(0, 40)}… has ${name.length} characters, at most ${NAME_MAX} are possible`,
		{ hint },
	);
}
