import * as fs from "node:fs";
import * as path from "node:path";
import { fail, isErrno } from "../../lib/errors.ts";

/** Read whatever the flags say, so that no flag leads around it. */
const ALWAYS = "/etc/rkt";
/** Bytes of one file. */
export const LONGEST_POLICY = 1024 * 1024;
const MOST_FILES = 1000;

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK } = fs.constants;

export interface PolicyFile {
	readonly file: string;
	readonly text: string;
}

/**
 * The files `policy.d/*.json` of /etc/rkt and of the directory of --local-config, in the order of their names; rules can
 * only forbid, so another directory adds to the first and takes nothing away. On a machine without a policy this
 * costs one or two calls of the kernel. Errors: `policy-untrusted`, `policy-unreadable`.
 */
export function readPolicyFiles(localConfig: string, always = ALWAYS): PolicyFile[] {
	return [...new Set([always, localConfig])].flatMap((directory) =>
		readDirectory(path.join(directory, "policy.d")),
	);
}

/** A directory through whose descriptor everything in it is reached, so that nobody can exchange it meanwhile. */
function readDirectory(directory: string): PolicyFile[] {
	if (fs.lstatSync(directory, { throwIfNoEntry: false }) === undefined) return [];
	const fd = open(directory, directory, O_DIRECTORY);
	try {
		requireRoots(fs.fstatSync(fd), directory);
		const names = fs.readdirSync(`/proc/self/fd/${fd}`).filter((name) => name.endsWith(".json"));
		if (names.length > MOST_FILES) unreadable(directory, `has more than ${MOST_FILES} files`);
		return names.sort().map((name) => {
			const file = path.join(directory, name);
			return { file, text: readFile(`/proc/self/fd/${fd}/${name}`, file) };
		});
	} finally {
		fs.closeSync(fd);
	}
}

function readFile(place: string, file: string): string {
	const fd = open(place, file, O_NONBLOCK);
	try {
		const stat = fs.fstatSync(fd);
		if (!stat.isFile()) unreadable(file, "is not a regular file");
		requireRoots(stat, file);
		if (stat.size > LONGEST_POLICY) unreadable(file, `has ${stat.size} bytes, more than ${LONGEST_POLICY}`);
		return fs.readFileSync(fd, "utf8");
	} finally {
		fs.closeSync(fd);
	}
}

function open(place: string, shown: string, flags: number): number {
	try {
		return fs.openSync(place, O_RDONLY | O_NOFOLLOW | flags);
	} catch (error) {
		if (isErrno(error, "ELOOP", "ENOTDIR")) return unreadable(shown, "is a symbolic link or no directory");
		return unreadable(shown, `cannot be opened: ${(error as Error).message}`);
	}
}

function unreadable(file: string, problem: string): never {
	return fail("policy-unreadable", `the policy ${file} ${problem}`, {
		hint: "no pod is started with a policy that cannot be read: correct it, or take it out of policy.d",
	});
}

function requireRoots(stat: fs.Stats, file: string): void {
	if (stat.uid === 0 && (stat.mode & 0o022) === 0) return;
	fail("policy-untrusted", `the policy ${file} must belong to root and not be writable by others`, {
		hint: `if its content is right: chown root ${file} && chmod go-w ${file}`,
	});
}
