import * as fs from "node:fs";
import * as path from "node:path";

/** Its first program, and what that finds where the files of the pod's root have the same paths; stage1-kvm/guest/init.c. */
const INIT = "/rkt/vm/init";
const LIST = "programs";
const SHARED = ["/usr", "/rkt/launch", "/rkt/app-status", "/rkt/seccomp", "/rkt/vm/agent", "/rkt/vm/modules"];

/** Type and permissions of what is made here, inode(7). */
const DIRECTORY = 0o040755;
const FILE = 0o100644;
const ALIGNMENT = 4;

/**
 * Writes what all pods execute as an archive that the kernel unpacks into its first root,
 * Documentation/driver-api/early-userspace/buffer-format.rst of the kernel. `root` is that of the image. Not compressed: a
 * guest would pay for that at every start.
 */
export function writeProgramsArchive(root: string, file: string): void {
	const shared = SHARED.filter((name) => fs.existsSync(path.join(root, name)));
	const names = new Set([...shared, INIT].flatMap((name) => [...parentsOf(name), ...treeOf(root, name)]));
	const entries = [...names].map((name, index) => entryOf(root, name, index + 1));
	const list = Buffer.from(shared.map((name) => `${name}\n`).join(""));
	const all = [
		...entries,
		entry(LIST, FILE, list, entries.length + 1),
		entry("TRAILER!!!", 0, Buffer.alloc(0), 0),
	];
	fs.writeFileSync(file, Buffer.concat(all));
}

function parentsOf(name: string): string[] {
	const parent = path.dirname(name);
	return parent === "/" ? [] : [...parentsOf(parent), parent];
}

function treeOf(root: string, name: string): string[] {
	if (!fs.lstatSync(path.join(root, name)).isDirectory()) return [name];
	const children = fs.readdirSync(path.join(root, name)).sort();
	return [name, ...children.flatMap((child) => treeOf(root, path.join(name, child)))];
}

function entryOf(root: string, name: string, inode: number): Buffer {
	const file = path.join(root, name);
	const stats = fs.lstatSync(file);
	const inArchive = name.slice(1);
	if (stats.isDirectory()) return entry(inArchive, DIRECTORY, Buffer.alloc(0), inode);
	const content = stats.isSymbolicLink() ? Buffer.from(fs.readlinkSync(file)) : fs.readFileSync(file);
	return entry(inArchive, stats.mode, content, inode);
}

/** Of root and of no time, so that the same files give the same archive. */
function entry(name: string, mode: number, content: Buffer, inode: number): Buffer {
	const terminated = Buffer.from(`${name}\0`);
	const none = 0;
	const fields = [
		inode,
		mode,
		none,
		none,
		1,
		none,
		content.length,
		none,
		none,
		none,
		none,
		terminated.length,
		none,
	];
	const header = `070701${fields.map((field) => field.toString(16).padStart(8, "0")).join("")}`;
	return Buffer.concat([padded(Buffer.concat([Buffer.from(header), terminated])), padded(content)]);
}

function padded(data: Buffer): Buffer {
	return Buffer.concat([data, Buffer.alloc(-data.length & (ALIGNMENT - 1))]);
}
