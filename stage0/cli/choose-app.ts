import { fail } from "../../lib/errors.ts";
import type { Log } from "../../lib/log.ts";
import { readPodManifest } from "../pod/read-manifest.ts";

/** A pod, and the command that is for one of its apps. */
export interface AppChoice {
	readonly command: string;
	readonly pod: { readonly uuid: string; readonly directory: string };
	/** Of the app; empty where there is only one. */
	readonly name: string;
}

/** Errors: `app-not-found`, `app-not-chosen`. */
export function chooseApp(log: Log, { command, pod, name }: AppChoice): string {
	const names = readPodManifest(pod.directory).apps.map((app) => app.name);
	if (name !== "") {
		if (names.includes(name)) return name;
		return fail("app-not-found", `pod ${pod.uuid} has no app ${JSON.stringify(name)}`, {
			hint: `its apps are: ${names.join(", ")}`,
		});
	}
	if (names.length === 1) return names[0] as string;
	log.info(`pod contains multiple apps:\n${names.map((one) => `\t${one}\n`).join("")}`);
	return fail("app-not-chosen", `specify app using "rkt ${command} --app= ..."`, {
		hint: "choose one with --app=NAME",
	});
}
