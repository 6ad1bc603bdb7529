import * as fs from "node:fs";
import { type DockerUser, parseDockerUser } from "../../appc/oci/docker-user.ts";
import { isDockerImage, ociAnnotation } from "../../appc/oci/oci-annotations.ts";
import type { App } from "../../appc/schema/app.ts";
import { fail } from "../../lib/errors.ts";
import type { PodApp } from "../pod.ts";
import { readAccounts, readGroups } from "./accounts.ts";
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
	const docker = ownDockerUser(podApp);
	if (docker) return resolveDockerUser(podApp, docker, root);
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
	const found =
		request.kind === "user"
			? readAccounts(root).find((account) => account.name === value)?.uid
			: readGroups(root).find((group) => group.name === value)?.gid;
	return found === undefined ? undefined : checkId(found, value, request.app);
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

/** What the image itself says; undefined for other images, and when the pod asks for another user or group. */
function ownDockerUser({ image, app }: PodApp): DockerUser | undefined {
	const text = ociAnnotation(image, "user");
	const unchanged = app.user === image.app?.user && app.group === image.app?.group;
	return text !== undefined && unchanged ? parseDockerUser(text) : undefined;
}

/**
 * As docker does: without a group in the image the user's own in /etc/passwd, or 0, and all that /etc/group makes it a
 * member of.
 */
function resolveDockerUser({ app, name }: PodApp, wanted: DockerUser, root: AppRoot): AppUser {
	const account = readAccounts(root).find((entry) =>
		isId(wanted.user) ? entry.uid === Number(wanted.user) : entry.name === wanted.user,
	);
	const request = { app: name, kind: "user", shift: 0 } as const;
	if (account === undefined && !isId(wanted.user)) unknownId(request, wanted.user);
	const uid = checkId(account?.uid ?? Number(wanted.user), wanted.user, name);
	const given = app.supplementaryGIDs.map((id) => checkId(id, String(id), name));
	if (wanted.group !== undefined) {
		const known = readGroups(root).find((group) => group.name === wanted.group)?.gid;
		const gid = isId(wanted.group) ? Number(wanted.group) : known;
		if (gid === undefined) unknownId({ ...request, kind: "group" }, wanted.group);
		return { uid, gid: checkId(gid, wanted.group, name), groups: given };
	}
	const own = readGroups(root).filter((group) => account && group.members.includes(account.name));
	const groups = given.length > 0 ? given : own.map(({ gid }) => checkId(gid, String(gid), name));
	return { uid, gid: checkId(account?.gid ?? 0, wanted.user, name), groups: [...new Set(groups)] };
}

const isId = (text: string): boolean => /^[0-9]+$/.test(text);

/** docker2aci writes the user's name for the group too, whether or not there is such a group. */
function hasDockerGroup({ image, app }: PodApp): boolean {
	const imageApp: App | undefined = image.app;
	return isDockerImage(image) && imageApp?.user === imageApp?.group && app.group === imageApp?.group;
}
