import * as fs from "node:fs";
import type { App } from "../../appc/schema/app.ts";
import type { ImageManifest } from "../../appc/schema/image-manifest.ts";
import { fail } from "../../lib/errors.ts";
import type { PodApp } from "../pod.ts";
import type { AppRoot } from "./app-root.ts";

/** Numeric ids as the pod sees them. */
export interface AppUser {
	readonly uid: number;
	readonly gid: number;
	/** Exactly the supplementary groups. */
	readonly groups: readonly number[];
}

/** (uid_t)-1 means "no change" to the kernel. */
const HIGHEST_ID = 0xfffffffe;

/**
 * The user and groups of an app (pod.md section 4.3 of the reference): a number, the owner of a path in the image,
 * or a name from the image's own files; only digits are always a number, whatever /etc/passwd says.
 * `shift` is what the pod's user namespace adds to ids on the host. Errors: `app-user-unknown`, `app-user-invalid`.
 */
export function resolveAppUser(podApp: PodApp, root: AppRoot, shift = 0): AppUser {
	const { app, name } = podApp;
	const uid = resolveId(app.user, root, { app: name, kind: "user", shift });
	const gid =
		resolveIdIfKnown(app.group, root, { app: name, kind: "group", shift }) ??
		(hasDockerGroup(podApp) ? uid : unknownId({ app: name, kind: "group", shift }, app.group));
	return { uid, gid, groups: app.supplementaryGIDs.map((id) => checkId(id, String(id), name)) };
}

interface Request {
	readonly app: string;
	readonly kind: "user" | "group";
	readonly shift: number;
}

function resolveId(value: string, root: AppRoot, request: Request): number {
	return resolveIdIfKnown(value, root, request) ?? unknownId(request, value);
}

function resolveIdIfKnown(value: string, root: AppRoot, request: Request): number | undefined {
	if (value === "root") return 0;
	if (/^[-+]?[0-9]+$/.test(value)) return checkId(Number(value), value, request.app);
	if (value.startsWith("/")) return ownerOf(value, root, request);
	const file = request.kind === "user" ? "/etc/passwd" : "/etc/group";
	const found = entries(root, file).find((fields) => fields[0] === value)?.[2];
	return found === undefined || !/^[0-9]+$/.test(found)
		? undefined
		: checkId(Number(found), value, request.app);
}

function ownerOf(target: string, root: AppRoot, { kind, shift }: Request): number | undefined {
	const fd = root.open(target, O_PATH_NOFOLLOW);
	if (fd === undefined) return undefined;
	const stat = fs.fstatSync(fd);
	fs.closeSync(fd);
	const id = (kind === "user" ? stat.uid : stat.gid) - shift;
	return id >= 0 ? id : undefined;
}

/** O_PATH | O_NOFOLLOW: the owner of a link itself counts, as in rkt. */
const O_PATH_NOFOLLOW = 0o10000000 | fs.constants.O_NOFOLLOW;

function entries(root: AppRoot, file: string): string[][] {
	return (root.readText(file) ?? "").split("\n").map((line) => line.split(":"));
}

function checkId(id: number, value: string, app: string): number {
	if (Number.isSafeInteger(id) && id >= 0 && id <= HIGHEST_ID) return id;
	return fail("app-user-invalid", `app ${app}: ${value} is no user or group id`, {
		hint: `ids go from 0 to ${HIGHEST_ID}`,
	});
}

function unknownId({ app, kind }: Request, value: string): never {
	return fail("app-user-unknown", `app ${app}: the image knows no ${kind} "${value}"`, {
		hint: `give a number, or a name in /etc/${kind === "user" ? "passwd" : "group"} of the image, with --${kind}`,
	});
}

/** True for an image that was converted from docker. */
export function isDockerImage(image: ImageManifest): boolean {
	return image.annotations.some(({ name }) => name.startsWith("appc.io/docker/"));
}

/** docker2aci writes the user's name for the group too, whether or not there is such a group. */
function hasDockerGroup({ image, app }: PodApp): boolean {
	const imageApp: App | undefined = image.app;
	return isDockerImage(image) && imageApp?.user === imageApp?.group && app.group === imageApp?.group;
}
