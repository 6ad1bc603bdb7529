import type { AppRoot } from "./app-root.ts";

/** A line of the image's /etc/passwd. */
export interface Account {
	readonly name: string;
	readonly uid: number;
	readonly gid: number;
	readonly home: string;
}

/** A line of the image's /etc/group. */
export interface AccountGroup {
	readonly name: string;
	readonly gid: number;
	readonly members: readonly string[];
}

/** The users that the image knows, in order; lines that say none are left out. */
export function readAccounts(root: AppRoot): Account[] {
	return fieldsOf(root, "/etc/passwd").flatMap(([name = "", , uid = "", gid = "", , home = ""]) =>
		isNumber(uid) ? [{ name, uid: Number(uid), gid: isNumber(gid) ? Number(gid) : 0, home }] : [],
	);
}

/** The groups that the image knows, in the same way. */
export function readGroups(root: AppRoot): AccountGroup[] {
	return fieldsOf(root, "/etc/group").flatMap(([name = "", , gid = "", members = ""]) =>
		isNumber(gid) ? [{ name, gid: Number(gid), members: members.split(",") }] : [],
	);
}

function fieldsOf(root: AppRoot, file: string): string[][] {
	return (root.readText(file) ?? "").split("\n").map((line) => line.split(":"));
}

const isNumber = (text: string): boolean => /^[0-9]+$/.test(text);
