import type { App } from "../../appc/schema/app.ts";
import { readIsolators } from "../../appc/schema/app-isolators.ts";
import type { PodManifest, RuntimeApp } from "../../appc/schema/pod-manifest.ts";
import type { Syscall } from "../../lib/syscall/syscall.ts";
import { parseNetList } from "../../stage1/network/net-list.ts";
import { appCapabilities } from "../../stage1/security/capabilities.ts";
import { isWithinDefaultFilter } from "../../stage1/security/filter-bounds.ts";
import { placeOfHostFile } from "../../stage1/volumes/volume-bounds.ts";
import type { Caller, PodAppFacts, PodFacts, PodImage } from "./policy.ts";

/** What of --insecure-options is in effect. */
export type InsecureWords = Readonly<Record<string, boolean>>;

/** A pod before it is started, or prepared. */
export interface PodSubject {
	readonly manifest: PodManifest;
	/** What is in the store for the image of an app. */
	readonly imageOf: (app: RuntimeApp) => PodImage & { readonly app: App | undefined };
	readonly stage1: PodFacts["stage1"];
	readonly privateUsers: boolean;
	/** Undefined while it is not decided. */
	readonly start: { readonly net: string; readonly ipc: string | undefined } | undefined;
	readonly insecure: InsecureWords;
	readonly callers: readonly Caller[];
}

/** Errors: `isolators-conflict`, `capability-unknown`, and those of seccomp isolators. */
export function podFacts(syscall: Syscall, subject: PodSubject): PodFacts {
	const { manifest, start, insecure } = subject;
	return {
		callers: subject.callers,
		apps: manifest.apps.map((app) => appFacts(subject, app)),
		stage1: subject.stage1,
		hostNetwork: start && parseNetList([start.net]).kind === "host",
		hostIpc: start && start.ipc === "parent",
		insecure: Object.keys(insecure).filter((word) => insecure[word]),
		volumes: hostVolumes(manifest),
		privateUsers: subject.privateUsers,
		resolve: (target) => placeOfHostFile(syscall, target),
	};
}

/** The image's name is that of its own manifest: what a pod manifest says of it proves nothing. */
function appFacts({ imageOf, insecure }: PodSubject, runtime: RuntimeApp): PodAppFacts {
	const { app, ...image } = imageOf(runtime);
	const limits = readIsolators((runtime.app ?? app)?.isolators ?? []);
	return {
		name: runtime.name,
		image,
		capabilities: appCapabilities(limits.capabilities, !insecure.capabilities),
		defaultSeccomp: isWithinDefaultFilter(limits.seccomp),
	};
}

function hostVolumes({ volumes, apps }: PodManifest): PodFacts["volumes"] {
	const own = apps.flatMap(({ mounts }) => mounts.flatMap(({ appVolume }) => appVolume ?? []));
	return [...volumes, ...own].flatMap(({ name, kind, source }) =>
		kind === "host" && source !== undefined ? [{ name, source }] : [],
	);
}
