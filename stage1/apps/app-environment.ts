import { isDockerImage, otherEnvironment } from "../../appc/oci/oci-annotations.ts";
import type { PodApp } from "../pod.ts";
import type { Account } from "./accounts.ts";

/** Where programs are looked for when neither the image nor the command line says. */
export const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Set when the app does not set them (pod.md section 4.1 of the reference). */
const DEFAULTS: Readonly<Record<string, string>> = {
	PATH: DEFAULT_PATH,
	SHELL: "/bin/sh",
	USER: "root",
	LOGNAME: "root",
	HOME: "/root",
	container: "rkt",
};

/** What the environment of an app depends on besides its manifest. */
export interface EnvironmentSource {
	readonly metadataUrl: string | undefined;
	readonly hostname: string;
	/** The entry of the app's user in the image's /etc/passwd; called for docker images only. */
	readonly account: () => Account | undefined;
}

/** The environment of an app: its own, over the defaults, under what rkt sets. */
export function appEnvironment(podApp: PodApp, source: EnvironmentSource): Map<string, string> {
	const docker = isDockerImage(podApp.image);
	const environment = new Map(Object.entries(docker ? dockerDefaults(source) : DEFAULTS));
	for (const { name, value } of podApp.app.environment) environment.set(name, value);
	for (const [name, value] of otherEnvironment(podApp.image)) environment.set(name, value);
	environment.set("AC_APP_NAME", podApp.name);
	if (source.metadataUrl !== undefined) environment.set("AC_METADATA_URL", source.metadataUrl);
	return environment;
}

/** docker's HOSTNAME, and HOME of the user that the app runs as; a wrong USER would be worse than none. */
function dockerDefaults({ hostname, account }: EnvironmentSource): Record<string, string> {
	const { name, home } = account() ?? {};
	const { USER, LOGNAME, ...rest } = DEFAULTS;
	const user = name ? { USER: name, LOGNAME: name } : {};
	return { ...rest, HOME: home || "/", HOSTNAME: hostname, ...user };
}

/** One `K=V` a line, for readers outside; the app itself gets its environment from its specification. */
export function environmentText(environment: ReadonlyMap<string, string>): string {
	return [...environment].map(([name, value]) => `${name}=${value}\n`).join("");
}
