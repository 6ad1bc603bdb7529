import * as fs from "node:fs";
import * as path from "node:path";
import { isErrno } from "./errors.ts";

/** Flushes a file or directory to the disk. */
export function fsyncPath(target: string): void {
	const fd = fs.openSync(target, fs.constants.O_RDONLY);
	try {
		fs.fsyncSync(fd);
	} finally {
		fs.closeSync(fd);
	}
}

/**
 * Replaces a file so that a reader, or a machine that loses power, sees the old or the new content and never
 * a part: temporary file beside it, fsync, rename, fsync of the directory.
 */
export function writeFileAtomic(target: string, data: string | Uint8Array, mode = 0o640): void {
	const temporary = `${target}.${process.pid}.${randomSuffix()}.tmp`;
	const fd = fs.openSync(temporary, "wx", mode);
	try {
		try {
			fs.writeFileSync(fd, data);
			fs.fchmodSync(fd, mode);
			fs.fsyncSync(fd);
		} finally {
			fs.closeSync(fd);
		}
		fs.renameSync(temporary, target);
	} catch (error) {
		fs.rmSync(temporary, { force: true });
		throw error;
	}
	fsyncPath(path.dirname(target));
}

/**
 * Writes files of a directory by name and waits until they are on the disk: all at once, so that the file system writes
 * its journal once or twice and not for each. Somebody who looks meanwhile may see parts. `written` are names of files
 * there that only have to be flushed.
 */
export async function writeFilesDurable(
	directory: string,
	files: Readonly<Record<string, string>>,
	written: readonly string[] = [],
): Promise<void> {
	const paths = Object.entries(files).map(([name, text]) => {
		const file = path.join(directory, name);
		fs.writeFileSync(file, text, { mode: 0o600 });
		return file;
	});
	await syncFiles([...paths, ...written.map((name) => path.join(directory, name)), directory]);
}

/** Flushes files and directories to the disk at once. */
export async function syncFiles(paths: readonly string[]): Promise<void> {
	const sync = async (file: string): Promise<void> => {
		const handle = await fs.promises.open(file, "r");
		await handle.sync().finally(() => handle.close());
	};
	await Promise.all(paths.map(sync));
}

/**
 * Replaces a file so that a reader sees the old or the new content and never a part; not flushed, for what means
 * nothing after a reboot. Saves two fsync, about 4 ms each.
 */
export function replaceFile(target: string, data: string | Uint8Array, mode = 0o640): void {
	const temporary = `${target}.${process.pid}.${randomSuffix()}.tmp`;
	try {
		fs.writeFileSync(temporary, data, { flag: "wx", mode });
		fs.renameSync(temporary, target);
	} catch (error) {
		fs.rmSync(temporary, { force: true });
		throw error;
	}
}

/**
 * Makes a directory and its missing parents. Node's own `recursive` never returns below a directory like /proc that
 * takes no entries.
 */
export function makeDirectories(directory: string, mode: number): void {
	if (fs.existsSync(directory)) return;
	const parent = path.dirname(directory);
	if (parent !== directory) makeDirectories(parent, mode);
	try {
		fs.mkdirSync(directory, { mode });
	} catch (error) {
		if (!isErrno(error, "EEXIST")) throw error;
	}
}

/** rename(2) made durable: both parent directories are flushed. */
export function renameDurable(from: string, to: string): void {
	fs.renameSync(from, to);
	fsyncPath(path.dirname(to));
	if (path.dirname(from) !== path.dirname(to)) fsyncPath(path.dirname(from));
}

/** The text of a file, or undefined when it does not exist. */
export function readTextIfExists(file: string): string | undefined {
	try {
		return fs.readFileSync(file, "utf8");
	} catch (error) {
		if (isErrno(error, "ENOENT", "ENOTDIR")) return undefined;
		throw error;
	}
}

/** The sorted entries of a directory; none when it does not exist. */
export function listDirectory(directory: string): string[] {
	try {
		return fs.readdirSync(directory).sort();
	} catch (error) {
		if (isErrno(error, "ENOENT")) return [];
		throw error;
	}
}

/** lstat, or undefined when there is nothing. */
export function lstatIfExists(file: string): fs.Stats | undefined {
	return fs.lstatSync(file, { throwIfNoEntry: false });
}

export function randomSuffix(): string {
	return Math.random().toString(36).slice(2, 10);
}

/**
 * The text of a file that the user names, which may be a pipe; undefined when it is longer than `limit` bytes, so
 * that an endless device ends too. Errors: as of open(2) and read(2).
 */
export function readTextUpTo(file: string, limit: number): string | undefined {
	return readBytesUpTo(file, limit)?.toString("utf8");
}

/** The same as bytes. */
export function readBytesUpTo(file: string, limit: number): Buffer | undefined {
	const fd = fs.openSync(file, "r");
	try {
		const chunks: Buffer[] = [];
		for (let total = 0; total <= limit; ) {
			const chunk = Buffer.alloc(Math.min(limit + 1 - total, 65_536));
			const count = fs.readSync(fd, chunk);
			if (count === 0) return Buffer.concat(chunks);
			chunks.push(chunk.subarray(0, count));
			total += count;
		}
		return undefined;
	} finally {
		fs.closeSync(fd);
	}
}

/** That of this process, or the root where somebody has removed it. */
export function workingDirectory(): string {
	try {
		return process.cwd();
	} catch {
		return "/";
	}
}
