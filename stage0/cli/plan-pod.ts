import type { ImageManifest } from "../../appc/schema/image-manifest.ts";
import type { PodManifest } from "../../appc/schema/pod-manifest.ts";
import { mark } from "../../lib/trace.ts";
import { type AnnotatedManifest, hasOwnUsers, readEntrypoints } from "../../stage1/entrypoints.ts";
import { fetchImage } from "../fetch/fetch-image.ts";
import { resolveStage1 } from "../fetch/resolve-stage1.ts";
import { type AppSource, buildPodManifest } from "../pod/build-manifest.ts";
import { checkNames } from "../pod/check-names.ts";
import type { CommandContext } from "./command.ts";
import type { PrepareFlags } from "./prepare-flags.ts";
import { readReadyManifest } from "./ready-manifest.ts";
import { mergeEnvironment } from "./values/environment.ts";
import type { Workspace } from "./workspace.ts";

/** A pod that is not made yet; its images are in the store. */
export interface PlannedPod {
	readonly stage1Key: string;
	readonly stage1Manifest: AnnotatedManifest;
	/** The pod is to get a range of ids. */
	readonly privateUsers: boolean;
	/** The text that is stored, and what it means. */
	readonly text: string;
	readonly manifest: PodManifest;
	/** Manifests of the images by the name of the app; undefined for a ready manifest, whose images were not read. */
	readonly images?: ReadonlyMap<string, ImageManifest>;
}

/** Gets the images and makes the pod manifest. */
export async function planPod(
	context: CommandContext,
	workspace: Workspace,
	flags: PrepareFlags,
): Promise<PlannedPod> {
	const stage1Key = await resolveStage1(flags.stage1, {
		...workspace.fetching,
		pullPolicy: "new",
		dependencies: false,
		programDirectory: __dirname,
	});
	const stage1Manifest = await workspace.store.manifest(stage1Key);
	readEntrypoints(stage1Manifest);
	const privateUsers = await decidePrivateUsers(context, workspace, flags, stage1Manifest);
	const planned = await planManifest(context, workspace, flags);
	mark("stage0 images");
	checkNames(planned.manifest);
	return { stage1Key, stage1Manifest, privateUsers, ...planned };
}

async function planManifest(
	context: CommandContext,
	workspace: Workspace,
	flags: PrepareFlags,
): Promise<Pick<PlannedPod, "text" | "manifest" | "images">> {
	if (flags.podManifest !== undefined) return readReadyManifest(flags.podManifest, workspace.store);
	const { store, fetching } = workspace;
	const apps: AppSource[] = [];
	for (const { reference, signature, overrides } of flags.images) {
		const imageId = await fetchImage(reference, { ...fetching, pullPolicy: flags.pullPolicy, signature });
		const image = await store.manifest(imageId);
		const own = overrides.environment;
		apps.push({
			imageId,
			image,
			overrides,
			mergeEnvironment: (variables) => mergeEnvironment(variables, flags.environment, own),
		});
	}
	context.log.debug(`${apps.length} images are in the store`);
	const caller = { user: String(process.getuid?.() ?? 0), group: String(process.getgid?.() ?? 0) };
	const { serializeManifest } = await import("../../appc/schema/serialize.ts");
	const manifest = buildPodManifest({ apps, volumes: flags.volumes, ports: flags.ports, caller });
	const images = manifest.apps.map(({ name }, index): [string, ImageManifest] => [
		name,
		(apps[index] as AppSource).image,
	]);
	return { manifest, text: serializeManifest(manifest), images: new Map(images) };
}

/** What the flags or else the configuration want, as far as it is needed and, with `auto`, possible: a line says when not. */
async function decidePrivateUsers(
	{ log }: CommandContext,
	{ syscall, store, config }: Workspace,
	flags: PrepareFlags,
	stage1: AnnotatedManifest,
): Promise<boolean> {
	const mode = flags.privateUsers ?? config.isolation?.privateUsers ?? "off";
	if (mode === "off") return false;
	if (hasOwnUsers(stage1)) {
		if (flags.privateUsers === "on") {
			log.info(`--private-users has no effect: pods of ${stage1.name} have users of their own without it`);
		}
		return false;
	}
	if (mode === "on") return true;
	const { userNamespaceProblem } = await import("../pod/user-namespace-support.ts");
	const problem = await userNamespaceProblem(syscall, store.directory);
	if (problem !== undefined) log.info(`the pod has no users of its own: ${problem}`);
	return problem === undefined;
}
