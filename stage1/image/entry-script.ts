import { ENTRYPOINT_ANNOTATIONS, type EntrypointName } from "../entrypoints.ts";

export const ENTRYPOINT_NAMES = Object.keys(ENTRYPOINT_ANNOTATIONS) as EntrypointName[];

/** Path inside the image of the executable for an entry point. */
export const entryScriptPath = (name: EntrypointName): string => `/rkt/${name}`;

/** A script that does the same as the module, for a stage0 that does not know our annotation. */
export function entryScript(name: EntrypointName): string {
	return `#!/usr/bin/env node
require("./stage1.cjs").main("${name}", process.argv.slice(2), { podDirectory: process.cwd(), environment: process.env }).then(
	(status) => { process.exitCode = status; },
	(error) => {
		console.error("stage1: " + (error.code && error.name === "RktError" ? error.message : error.stack));
		process.exitCode = error.code === "stage1-arguments-invalid" ? 2 : 254;
	},
);
`;
}
