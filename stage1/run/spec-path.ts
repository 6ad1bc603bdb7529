import * as path from "node:path";

/** The specification of an app for `enter`: in the pod directory, where no pod can write. */
export const specPath = (pod: string, app: string): string => path.join(pod, "spec", app);
