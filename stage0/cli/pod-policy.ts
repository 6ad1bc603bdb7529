import * as fs from "node:fs";
import type { RuntimeApp } from "../../appc/schema/pod-manifest.ts";
import { isErrno } from "../../lib/errors.ts";
import { hasOwnUsers } from "../../stage1/entrypoints.ts";
import { appImageManifestPath, podManifestPath } from "../../stage1/pod-paths.ts";
import type { VolumeBounds } from "../../stage1/volumes/volume-bounds.ts";
import { bundledStage1 } from "../fetch/stage1-bundle.ts";
import { identifyStage1OfPod } from "../handoff/stage1-of-pod.ts";
import { readUserRange } from "../pod/user-range.ts";
import type { PolicyRequest } from "../policy/check-pod.ts";
import type { PodSubject } from "../policy/pod-facts.ts";
import { UNSIGNED } from "../policy/policy.ts";
import { type PolicyFile, readPolicyFiles } from "../policy/policy-files.ts";
import type { Store } from "../store/store.ts";
import type { CommandContext } from "./command.ts";
import type { PlannedPod } from "./plan-pod.ts";
import type { StartFlags } from "./start-flags.ts";
import type { Workspace } from "./workspace.ts";

type Place = Pick<Workspace, "dataDirectory" | "syscall">;

/**
 * Refuses a pod that the policy of this machine forbids, before anything of it exists. Without a policy nothing is
 * loaded for it. Errors: `policy-denied`, `policy-invalid`, `policy-untrusted`, `policy-unreadable`.
 */
export async function checkPlannedPod(
	context: CommandContext,
	workspace: Workspace,
	planned: PlannedPod,
	start: StartFlags | undefined,
): Promise<VolumeBounds> {
	const files = readPolicyFiles(context.globals.localConfig);
	if (files.length === 0) return [];
	const { checkPolicy } = await import("../policy/check-pod.ts");
	return checkPolicy(await plannedPodRequest(context, workspace, { files, planned, start }));
}

/** The same for a prepared pod, which may be older than the policy. */
export async function checkPreparedPod(
	context: CommandContext,
	place: Place,
	pod: string,
	start: StartFlags,
): Promise<VolumeBounds> {
	const files = readPolicyFiles(context.globals.localConfig);
	if (files.length === 0) return [];
	const { checkPolicy } = await import("../policy/check-pod.ts");
	return checkPolicy(await preparedPodRequest(context, place, { files, pod, start }));
}

export interface PlannedQuestion {
	readonly files: readonly PolicyFile[];
	readonly planned: PlannedPod;
	readonly start: StartFlags | undefined;
}

export async function plannedPodRequest(
	context: CommandContext,
	workspace: Workspace,
	{ files, planned, start }: PlannedQuestion,
): Promise<PolicyRequest> {
	const { store } = workspace;
	const { manifest, stage1Key, stage1Manifest } = planned;
	const images = new Map<string, ReturnType<PodSubject["imageOf"]>>();
	for (const { name, image } of manifest.apps) {
		const key = store.resolveKey(image.id);
		const { name: imageName, app } = await store.manifest(key);
		images.set(name, { name: imageName, app, signers: signersOf(store, key) });
	}
	return {
		...commonParts(context, workspace, files),
		subject: {
			manifest,
			imageOf: (app) => images.get(app.name) as ReturnType<PodSubject["imageOf"]>,
			stage1: { id: stage1Key, name: stage1Manifest.name, bundled: bundledName(stage1Key) },
			privateUsers: planned.privateUsers || hasOwnUsers(stage1Manifest),
			start,
			insecure: insecureWords(context),
		},
	};
}

async function preparedPodRequest(
	context: CommandContext,
	place: Place,
	{ files, pod, start }: { files: readonly PolicyFile[]; pod: string; start: StartFlags },
): Promise<PolicyRequest> {
	const [{ parsePodManifest }, { parseImageManifest }, { openStore }] = await Promise.all([
		import("../../appc/schema/pod-manifest.ts"),
		import("../../appc/schema/image-manifest.ts"),
		import("../store/store.ts"),
	]);
	const store = openStore(place.dataDirectory, place.syscall);
	const stage1 = identifyStage1OfPod(place.dataDirectory, pod);
	const file = podManifestPath(pod);
	const imageOf = ({ name, image }: RuntimeApp): ReturnType<PodSubject["imageOf"]> => {
		const copy = appImageManifestPath(pod, name);
		const manifest = parseImageManifest(fs.readFileSync(copy, "utf8"), copy);
		return { name: manifest.name, app: manifest.app, signers: signersOf(store, image.id) };
	};
	return {
		...commonParts(context, place, files),
		subject: {
			manifest: parsePodManifest(fs.readFileSync(file, "utf8"), file),
			imageOf,
			stage1: { id: stage1.id, name: stage1.name, bundled: bundledName(stage1.id) },
			privateUsers: readUserRange(pod) !== undefined || stage1.ownUsers,
			start,
			insecure: insecureWords(context),
		},
	};
}

function commonParts(
	{ globals, environment }: CommandContext,
	{ syscall, dataDirectory }: Place,
	files: readonly PolicyFile[],
): Omit<PolicyRequest, "subject"> {
	const directories = {
		"--dir": dataDirectory,
		"--local-config": globals.localConfig,
		"--system-config": globals.systemConfig,
		"--user-config": globals.userConfig,
	};
	return { files, syscall, environment, directories };
}

function insecureWords({ globals }: CommandContext): PodSubject["insecure"] {
	return { ...globals.insecure };
}

/** Of an image that is not in the store any more, or not named by its whole id, nothing is known. */
function signersOf(store: Store, key: string): string[] {
	try {
		return [...new Set(store.partsOf(key).map((part) => store.record(part)?.signer ?? UNSIGNED))];
	} catch (error) {
		if (isErrno(error, "image-not-found")) return [UNSIGNED];
		throw error;
	}
}

function bundledName(id: string | undefined): string | undefined {
	return [...bundledStage1(__dirname)].find(([, image]) => image.id === id)?.[0];
}
