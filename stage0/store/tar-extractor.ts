import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Writable } from "node:stream";
import { isErrno, RktError } from "../../lib/errors.ts";

/** GNU tar writing a tree from a stream that we made. */
export interface TarExtractor {
	/** Waits while tar is behind. */
	write(chunk: Buffer): Promise<void> | void;
	/** Waits until tar has written everything. Errors: `tree-not-written`, `disk-full`. */
	finish(): Promise<void>;
	/** Kills tar and waits for its end, after which it writes no more; for when the stream cannot be completed. */
	abort(): Promise<void>;
}

const ARGUMENTS = [
	"--extract",
	"--file=-",
	// It reads and writes this many half kilobytes at once; 20 without it.
	"--blocking-factor=512",
	"--preserve-permissions",
	"--same-owner",
	"--numeric-owner",
	"--delay-directory-restore",
	"--xattrs",
	"--xattrs-include=*",
	"--no-wildcards",
	"--quoting-style=escape",
	"--warning=no-timestamp",
];

/**
 * Starts tar in a directory. The caller guarantees that no entry has a parent that is a link and no hard link
 * leaves the stream, so tar has nothing to follow. The environment is fixed, because tar takes options from it.
 */
export function startTarExtractor(directory: string): TarExtractor {
	const child = spawn("tar", ARGUMENTS, {
		cwd: directory,
		stdio: ["pipe", "ignore", "pipe"],
		env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" },
	});
	let complaint = "";
	// Without free descriptors there are no pipes; the reason comes with the event `error`.
	const stdin: Writable | undefined = child.stdin;
	child.stderr?.on("data", (text: Buffer) => {
		if (complaint.length < 2000) complaint += text.toString();
	});
	let broken = false;
	stdin?.on("error", () => {
		broken = true;
	});
	const exit = new Promise<number>((resolve, reject) => {
		child.once("error", (cause) => reject(missingTar(cause)));
		child.once("close", (code) => resolve(code ?? 128));
	});
	exit.catch(() => {});
	const fail = async (): Promise<never> => {
		await exit;
		throw notWritten(directory, complaint);
	};
	return {
		write: (chunk) => {
			if (broken || !stdin) return fail();
			if (stdin.write(chunk)) return;
			const drained = once(stdin, "drain").catch(() => {});
			return Promise.race([drained, exit]).then(() => (broken ? fail() : undefined));
		},
		finish: async () => {
			stdin?.end();
			if ((await exit) !== 0 || broken) throw notWritten(directory, complaint);
		},
		abort: async () => {
			child.kill("SIGKILL");
			await exit.catch(() => {});
		},
	};
}

/** Short of descriptors or memory, the reason is told as it is. */
function missingTar(cause: Error): Error {
	if (!isErrno(cause, "ENOENT", "EACCES")) return cause;
	return new RktError("program-missing", `cannot start tar: ${cause.message}`, {
		hint: "install GNU tar (Debian package tar)",
		cause,
	});
}

function notWritten(directory: string, complaint: string): RktError {
	if (/No space left|quota exceeded|Wrote only/i.test(complaint)) {
		return new RktError("disk-full", `no space left for the root file system ${directory}`, {
			hint: "make room on its file system, for example with rkt image gc, or choose another with --dir",
		});
	}
	const line = complaint.split("\n")[0] || "no reason given";
	return new RktError("tree-not-written", `cannot write the root file system ${directory}: ${line}`, {
		hint: "writing trees needs root and a file system with extended attributes",
	});
}
