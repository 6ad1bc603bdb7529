import { spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants } from "node:fs";
import * as path from "node:path";
import { createGunzip, type ZlibOptions } from "node:zlib";
import { messageOf, RktError } from "../../lib/errors.ts";
import { startFeed } from "./feed.ts";
import { refuseAci, refuseTruncated } from "./refuse.ts";

/** What zlib produces at once. Smaller pieces cost calls, larger ones fall out of the processor's cache. */
const GUNZIP_CHUNK = 256 * 1024;

/**
 * The decompressed stream: gzip in this process, the others through the programs of the host. `pieceBytes` is what is
 * decompressed at once.
 */
export function expand(
	compression: "gzip" | "bzip2" | "xz" | "zstd",
	input: AsyncIterable<Buffer>,
	source: string,
	pieceBytes = GUNZIP_CHUNK,
): AsyncIterable<Buffer> {
	switch (compression) {
		case "gzip":
			return gunzip(input, source, pieceBytes);
		case "xz":
			// A dictionary may claim 4 GiB; xz -9 needs 65 MiB.
			return filter(
				"xz",
				["--decompress", "--stdout", "--format=xz", "--memlimit-decompress=512MiB"],
				input,
				source,
			);
		case "bzip2":
			return filter("bzip2", ["--decompress", "--stdout"], input, source);
		case "zstd":
			// A window may claim 2 GiB; zstd --ultra -22 needs 128 MiB.
			return filter(
				"zstd",
				["--decompress", "--stdout", "--quiet", "--memory=128MiB", "--no-sparse"],
				input,
				source,
			);
	}
}

async function* gunzip(
	input: AsyncIterable<Buffer>,
	source: string,
	pieceBytes: number,
): AsyncGenerator<Buffer> {
	// The large high-water mark lets zlib's thread work on while this one hashes.
	const options: ZlibOptions & { highWaterMark: number } = {
		chunkSize: pieceBytes,
		highWaterMark: 8 * pieceBytes,
	};
	const engine = createGunzip(options);
	const feed = startFeed(input, engine);
	try {
		yield* engine as AsyncIterable<Buffer>;
	} catch (error) {
		feed.check();
		throw gzipError(error, source);
	} finally {
		engine.destroy();
	}
	feed.check();
	if (engine.bytesWritten !== feed.bytes()) refuseAci(source, "data follows the end of the gzip data");
}

function gzipError(error: unknown, source: string): unknown {
	const code = (error as NodeJS.ErrnoException).code ?? "";
	if (code === "Z_BUF_ERROR") return caught(() => refuseTruncated(source, "inside the gzip data"));
	if (!code.startsWith("Z_")) return error;
	return caught(() => refuseAci(source, `the gzip data is damaged (${messageOf(error)})`));
}

function caught(thrower: () => never): unknown {
	try {
		return thrower();
	} catch (error) {
		return error;
	}
}

/** Sends a stream through a program of the host. The program is killed when nobody reads on. */
async function* filter(
	name: string,
	args: readonly string[],
	input: AsyncIterable<Buffer>,
	source: string,
): AsyncGenerator<Buffer> {
	const child = spawn(findProgram(name), args, {
		stdio: "pipe",
		env: { PATH: "/usr/bin:/bin", LC_ALL: "C" },
	});
	const exit = once(child, "close") as Promise<[number | null]>;
	const feed = startFeed(input, child.stdin);
	let complaint = "";
	child.stderr.on("data", (text: Buffer) => {
		if (complaint.length < 1000) complaint += text.toString("latin1");
	});
	try {
		yield* child.stdout as AsyncIterable<Buffer>;
		const [status] = await exit;
		feed.check();
		if (status !== 0) refuseProgram(name, complaint, source);
	} finally {
		child.kill("SIGKILL");
		child.stdin.destroy();
	}
}

function refuseProgram(name: string, complaint: string, source: string): never {
	if (/unexpected end|ends unexpectedly/i.test(complaint)) refuseTruncated(source, `inside the ${name} data`);
	const line = complaint
		.split("\n")
		.find((text) => text.trim() !== "")
		?.trim();
	return refuseAci(source, `the ${name} data is damaged (${line ?? "no reason given"})`);
}

/** The absolute path of a program of the host. Errors: `program-missing`. */
function findProgram(name: string): string {
	const directories = (process.env.PATH ?? "").split(":").filter((directory) => directory.startsWith("/"));
	for (const directory of [...directories, "/usr/bin", "/bin"]) {
		const file = path.join(directory, name);
		try {
			accessSync(file, constants.X_OK);
			return file;
		} catch {
			// Not in this directory.
		}
	}
	throw new RktError("program-missing", `the program ${name} is needed to read this image`, {
		hint: `install ${name}`,
	});
}
