import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { gzipSync } from "node:zlib";
import { pack } from "tar-stream";

/** What stands at one name of the archive. */
export type AciEntry =
	| { readonly directory: true; readonly mode?: number }
	| { readonly text: string; readonly mode?: number; readonly uid?: number; readonly gid?: number }
	| { readonly copyOf: string; readonly mode?: number }
	| { readonly symlink: string };

export interface AciContents {
	readonly manifest: Record<string, unknown>;
	/** Paths inside rootfs, such as `bin/sh`. */
	readonly files: Readonly<Record<string, AciEntry>>;
	readonly compress?: boolean;
}

/** Writes an image and returns its id. Built without rkt's own archive code, so that tests compare two opinions. */
export async function makeAci(file: string, contents: AciContents): Promise<string> {
	const archive = pack();
	archive.entry({ name: "manifest", mode: 0o644 }, JSON.stringify(contents.manifest));
	archive.entry({ name: "rootfs", type: "directory", mode: 0o755 });
	for (const [name, entry] of Object.entries(contents.files)) addEntry(archive, `rootfs/${name}`, entry);
	archive.finalize();
	const chunks: Buffer[] = [];
	for await (const chunk of archive) chunks.push(chunk as Buffer);
	const tar = Buffer.concat(chunks);
	fs.writeFileSync(file, contents.compress ? gzipSync(tar, { level: 1 }) : tar);
	return `sha512-${createHash("sha512").update(tar).digest("hex")}`;
}

function addEntry(archive: ReturnType<typeof pack>, name: string, entry: AciEntry): void {
	if ("directory" in entry) archive.entry({ name, type: "directory", mode: entry.mode ?? 0o755 });
	else if ("symlink" in entry) archive.entry({ name, type: "symlink", linkname: entry.symlink });
	else if ("copyOf" in entry) {
		const stats = fs.statSync(entry.copyOf);
		archive.entry({ name, mode: entry.mode ?? stats.mode & 0o7777 }, fs.readFileSync(entry.copyOf));
	} else {
		const { mode = 0o644, uid = 0, gid = 0 } = entry;
		archive.entry({ name, mode, uid, gid }, entry.text);
	}
}

export interface ManifestOptions {
	readonly version?: string;
	readonly labels?: Record<string, string>;
	/** Members of the app; `exec`, `user` and `group` have defaults. Null leaves the whole app out. */
	readonly app?: Record<string, unknown> | null;
	readonly dependencies?: readonly Record<string, unknown>[];
}

/** A manifest for this machine's architecture that runs `/bin/true` as root unless told otherwise. */
export function imageManifest(name: string, options: ManifestOptions = {}): Record<string, unknown> {
	const labels = {
		version: options.version ?? "1.0.0",
		os: "linux",
		arch: acArchitecture(),
		...options.labels,
	};
	const app = { exec: ["/bin/true"], user: "0", group: "0", ...options.app };
	return {
		acKind: "ImageManifest",
		acVersion: "0.8.11",
		name,
		labels: Object.entries(labels).map(([label, value]) => ({ name: label, value })),
		...(options.app === null ? {} : { app }),
		...(options.dependencies === undefined ? {} : { dependencies: options.dependencies }),
	};
}

function acArchitecture(): string {
	return process.arch === "arm64" ? "aarch64" : "amd64";
}

const BUSYBOX_APPLETS =
	"sh cat echo env id ls mkdir mount nc pwd readlink sleep stat stty touch true false tty wc hostname ip kill ps head sed grep mknod dd";

/** The files of a small userland of one static busybox. */
export function busyboxFiles(): Record<string, AciEntry> {
	const links = BUSYBOX_APPLETS.split(" ").map((name) => [`bin/${name}`, { symlink: "busybox" }] as const);
	return {
		bin: { directory: true },
		"bin/busybox": { copyOf: "/bin/busybox" },
		...Object.fromEntries(links),
		etc: { directory: true },
		"etc/passwd": { text: "root:x:0:0:root:/root:/bin/sh\nworker:x:1000:1001:worker:/:/bin/sh\n" },
		"etc/group": { text: "root:x:0:\nworkers:x:1001:\nextra:x:1002:worker\n" },
		tmp: { directory: true, mode: 0o1777 },
	};
}

/** An image of busybox that runs a shell script. */
export function makeShellAci(
	file: string,
	name: string,
	script: string,
	options: ManifestOptions = {},
): Promise<string> {
	const app = { exec: ["/bin/sh", "-c", script], ...options.app };
	return makeAci(file, { manifest: imageManifest(name, { ...options, app }), files: busyboxFiles() });
}
