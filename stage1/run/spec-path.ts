import * as fs from "node:fs";
import * as path from "node:path";
import { fail } from "../../lib/errors.ts";

/** The specification of an app for `enter`: in the pod directory, where no pod can write. */
export const specPath = (pod: string, app: string): string => path.join(pod, "spec", app);

/**
 * The specification of an app that the pod has. App names hold no slash, so none leads out of the directory. Errors:
 * `app-not-found`.
 */
export function requireSpec(pod: string, app: string): string {
	const file = /^[a-z0-9-]+$/.test(app) ? specPath(pod, app) : "";
	if (file !== "" && fs.existsSync(file)) return file;
	return fail("app-not-found", `the pod has no app "${app}"`, { hint: "rkt status UUID lists the apps" });
}
