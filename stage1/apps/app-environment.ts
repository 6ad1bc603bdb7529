import type { PodApp } from "../pod.ts";

/** Set when the app does not set them (pod.md section 4.1 of the reference). */
const DEFAULTS: Readonly<Record<string, string>> = {
	PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	SHELL: "/bin/sh",
	USER: "root",
	LOGNAME: "root",
	HOME: "/root",
	container: "rkt",
};

/** The environment of an app: its own, over the defaults, under what rkt sets. */
export function appEnvironment(podApp: PodApp, metadataUrl?: string): Map<string, string> {
	const environment = new Map(Object.entries(DEFAULTS));
	for (const { name, value } of podApp.app.environment) environment.set(name, value);
	environment.set("AC_APP_NAME", podApp.name);
	if (metadataUrl !== undefined) environment.set("AC_METADATA_URL", metadataUrl);
	return environment;
}

/** One `K=V` a line, for readers outside; the app itself gets its environment from its specification. */
export function environmentText(environment: ReadonlyMap<string, string>): string {
	return [...environment].map(([name, value]) => `${name}=${value}\n`).join("");
}
