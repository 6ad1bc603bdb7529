import * as path from "node:path";
import { busyboxFiles, imageManifest, type ManifestOptions, makeAci } from "./make-aci.ts";
import { createTestHost, type RktOptions, type RktResult, type TestHost } from "./test-host.ts";

export const BUSYBOX = "example.com/busybox";

export interface BusyboxHost extends TestHost {
	/** Id of the image {@link BUSYBOX} in the store: 128 hexadecimal digits. */
	readonly imageId: string;
	/** Runs a shell script in a pod without network, unless the flags say otherwise. */
	shell(script: string, flags?: ShellFlags, options?: RktOptions): Promise<RktResult>;
	/** The words of that command line, for use with `start` or `prepare`. */
	shellWords(script: string, flags?: ShellFlags): string[];
	/** Puts one more image into the store; returns its id. */
	addImage(name: string, options: ManifestOptions): Promise<string>;
}

export interface ShellFlags {
	/** In front of the image. */
	readonly pod?: readonly string[];
	/** Behind the image. */
	readonly app?: readonly string[];
}

/** A host whose store holds an image of busybox. */
export async function createBusyboxHost(name: string): Promise<BusyboxHost> {
	const host = createTestHost(name);
	const addImage = async (image: string, options: ManifestOptions): Promise<string> => {
		const file = path.join(host.directory, `${image.replaceAll("/", "-")}.aci`);
		const id = await makeAci(file, { manifest: imageManifest(image, options), files: busyboxFiles() });
		const result = await host.rkt(["--insecure-options=image", "fetch", file]);
		if (result.status !== 0) throw new Error(`rkt fetch ${file}:\n${result.stderr}`);
		return id;
	};
	const shellWords = (script: string, flags: ShellFlags = {}): string[] => {
		const net = flags.pod?.some((flag) => flag.startsWith("--net")) ? [] : ["--net=none"];
		return [
			...net,
			...(flags.pod ?? []),
			BUSYBOX,
			...(flags.app ?? []),
			"--exec=/bin/sh",
			"--",
			"-c",
			script,
		];
	};
	const shell = (script: string, flags?: ShellFlags, options?: RktOptions): Promise<RktResult> =>
		host.rkt(["run", ...shellWords(script, flags)], options);
	const imageId = await addImage(BUSYBOX, {});
	return { ...host, imageId, shell, shellWords, addImage };
}

/** The lines that apps printed, without the process that the journal puts in front, and the time where the kernel's lines have one. */
export function outputLines(result: RktResult): string[] {
	const lines = result.stdout.split(/\r*\n/).filter((line) => line !== "");
	return lines.map((line) => line.replace(/^(\[ *\d+\.\d+\] )?[\w-]+\[\d+\]: /, ""));
}

/** The first pod whose UUID a program printed. */
export function firstUuid(text: string): string {
	const uuid = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/.exec(text)?.[0];
	if (uuid === undefined) throw new Error(`no UUID in: ${text}`);
	return uuid;
}
