import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { type ImageManifest, parseImageManifest } from "../../appc/schema/image-manifest.ts";
import { type PodManifest, parsePodManifest } from "../../appc/schema/pod-manifest.ts";
import { messageOf } from "../../lib/errors.ts";
import { listDirectory, makeDirectories, replaceFile } from "../../lib/files.ts";
import { parseJson } from "../../lib/json.ts";
import type { Log } from "../../lib/log.ts";
import { isUuid } from "../pod/pod-directories.ts";
import { registrationPath, registrationsPath } from "./paths.ts";

/** An image manifest as it was registered, and what it means. */
export interface RegisteredImage {
	readonly text: string;
	readonly manifest: ImageManifest;
}

/** A pod that may ask for its metadata. */
export interface Registration {
	readonly uuid: string;
	/** 32 hexadecimal digits; whoever has it is the pod. */
	readonly token: string;
	readonly text: string;
	readonly manifest: PodManifest;
	/** By the name of the app. */
	readonly images: ReadonlyMap<string, RegisteredImage>;
}

/** The registered pods, each in a file of its own that is replaced whole. */
export interface Registry {
	byToken(token: string): Registration | undefined;
	byUuid(uuid: string): Registration | undefined;
	/** A pod that is there already begins anew. Errors: `json-invalid`, `manifest-invalid`. */
	add(uuid: string, token: string, manifest: Uint8Array | string): Registration;
	/** Errors: `json-invalid`, `manifest-invalid`. */
	addImage(pod: Registration, app: string, manifest: Uint8Array | string): void;
	/** False when it was not there. */
	remove(uuid: string): boolean;
}

const TOKEN = /^[0-9a-f]{32}$/;

export function isToken(text: string): boolean {
	return TOKEN.test(text);
}

/**
 * Reads the registrations that an earlier service kept. One that cannot be read is told and passed over: its pod
 * gets no answers, the others do. The caller holds the lock of the state directory.
 */
export function openRegistry(state: string, log: Log): Registry {
	const byUuid = new Map<string, Registration>();
	const byDigest = new Map<string, Registration>();
	const keep = (pod: Registration): Registration => {
		const before = byUuid.get(pod.uuid);
		if (before) byDigest.delete(digest(before.token));
		byUuid.set(pod.uuid, pod);
		byDigest.set(digest(pod.token), pod);
		return pod;
	};
	const save = (pod: Registration): Registration => {
		replaceFile(registrationPath(state, pod.uuid), encode(pod), 0o600);
		return keep(pod);
	};
	makeDirectories(registrationsPath(state), 0o700);
	for (const pod of readRegistrations(state, log)) keep(pod);
	return {
		byToken: (token) => byDigest.get(digest(token)),
		byUuid: (uuid) => byUuid.get(uuid),
		add: (uuid, token, manifest) => save({ uuid, token, images: new Map(), ...readPod(manifest) }),
		addImage: (pod, app, manifest) => {
			save({ ...pod, images: new Map([...pod.images, [app, readImage(manifest)]]) });
		},
		remove: (uuid) => {
			const pod = byUuid.get(uuid);
			fs.rmSync(registrationPath(state, uuid), { force: true });
			if (pod) byDigest.delete(digest(pod.token));
			return byUuid.delete(uuid);
		},
	};
}

/** Looked up by hash, so that the time of a failed look-up says nothing about the tokens that exist. */
function digest(token: string): string {
	return createHash("sha256").update(token).digest("hex");
}

function readPod(manifest: Uint8Array | string): Pick<Registration, "text" | "manifest"> {
	return {
		text: Buffer.from(manifest).toString("utf8"),
		manifest: parsePodManifest(manifest, "pod manifest"),
	};
}

function readImage(manifest: Uint8Array | string): RegisteredImage {
	const parsed = parseImageManifest(manifest, "image manifest");
	return { text: Buffer.from(manifest).toString("utf8"), manifest: parsed };
}

function encode({ token, text, images }: Registration): string {
	const texts = [...images].map(([app, image]) => [app, image.text]);
	return JSON.stringify({ token, manifest: text, images: Object.fromEntries(texts) });
}

function readRegistrations(state: string, log: Log): Registration[] {
	const directory = registrationsPath(state);
	return listDirectory(directory).flatMap((name) => {
		const file = path.join(directory, name);
		const uuid = name.replace(/\.json$/, "");
		if (!isUuid(uuid) || name === uuid) {
			// What a killed service had begun to write.
			fs.rmSync(file, { force: true });
			return [];
		}
		try {
			return [decode(uuid, file)];
		} catch (error) {
			log.info(`warning: passing over ${file}: ${messageOf(error)}`);
			return [];
		}
	});
}

function decode(uuid: string, file: string): Registration {
	const { token, manifest, images } = parseJson(fs.readFileSync(file, "utf8"), file) as Record<
		string,
		unknown
	>;
	if (typeof token !== "string" || !isToken(token) || typeof manifest !== "string") {
		throw new Error("it is no registration");
	}
	const entries = Object.entries((images ?? {}) as Record<string, string>);
	return {
		uuid,
		token,
		...readPod(manifest),
		images: new Map(entries.map(([app, text]) => [app, readImage(text)])),
	};
}
