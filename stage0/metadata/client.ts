import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import { request } from "node:http";
import { connect } from "node:net";
import { setTimeout } from "node:timers/promises";
import { fail, isErrno, messageOf } from "../../lib/errors.ts";
import { METADATA_SOCKET, METADATA_STATE, registrationPath } from "./paths.ts";

/** A pod to be registered: manifests as they stand in its directory. */
export interface PodToRegister {
	readonly uuid: string;
	readonly manifest: Uint8Array;
	/** Image manifests by the name of the app. */
	readonly images: ReadonlyMap<string, Uint8Array>;
}

export interface ClientOptions {
	readonly socket?: string;
	/** Between two attempts, in milliseconds; a second unless told. */
	readonly pauseMs?: number;
}

const ATTEMPTS = 3;
const TIMEOUT_MS = 5000;

/** Nobody has made the socket, or nobody answers on it. */
const MISSING = ["ENOENT", "ENOTDIR", "ENOTSOCK", "ECONNREFUSED"];

/** Errors: `metadata-service-missing` when nobody answers on the socket. */
export async function checkMetadataService(options: ClientOptions = {}): Promise<void> {
	const { socket = METADATA_SOCKET } = options;
	await attempt(options, () => open(socket));
}

/**
 * Registers a pod under a new token, which it gives. Three attempts, a second apart.
 * Errors: `metadata-service-missing`, `metadata-registration-refused`.
 */
export async function registerPod(pod: PodToRegister, options: ClientOptions = {}): Promise<string> {
	const { socket = METADATA_SOCKET } = options;
	const token = randomBytes(16).toString("hex");
	const put = async (path: string, body: Uint8Array): Promise<void> => {
		const { status, text } = await attempt(options, () => send({ socket, method: "PUT", path, body }));
		if (status === 200) return;
		fail("metadata-registration-refused", `the metadata service refused pod ${pod.uuid}: ${status} ${text}`, {
			hint: "its log says more: journalctl -u rkt-metadata",
		});
	};
	await put(`/pods/${pod.uuid}?token=${token}`, pod.manifest);
	for (const [app, manifest] of pod.images) await put(`/pods/${pod.uuid}/${app}`, manifest);
	return token;
}

/**
 * Takes a registration back; one that is not there is none to take back. What a service that does not run would
 * remember is forgotten too. Errors: those of connect(2) and unlink(2), and a plain error for another answer.
 */
export async function unregisterPod(
	uuid: string,
	{ socket = METADATA_SOCKET, state = METADATA_STATE }: { socket?: string; state?: string } = {},
): Promise<void> {
	try {
		const { status, text } = await send({ socket, method: "DELETE", path: `/pods/${uuid}` });
		if (status !== 200 && status !== 404) throw new Error(`the metadata service says ${status} ${text}`);
	} catch (error) {
		if (!isErrno(error, ...MISSING)) throw error;
		fs.rmSync(registrationPath(state, uuid), { force: true });
	}
}

/** A missing socket does not come into being within two seconds; a service that starts or stops answers then. */
async function attempt<T>(options: ClientOptions, action: () => Promise<T>): Promise<T> {
	const { socket = METADATA_SOCKET, pauseMs = 1000 } = options;
	for (let left = ATTEMPTS - 1; ; left -= 1) {
		try {
			return await action();
		} catch (error) {
			if (left === 0 || isErrno(error, "ENOENT", "ENOTDIR", "ENOTSOCK", "EACCES")) unreachable(socket, error);
			await setTimeout(pauseMs);
		}
	}
}

function unreachable(socket: string, error: unknown): never {
	return fail(
		"metadata-service-missing",
		`could not reach the metadata service on ${socket}: ${messageOf(error)}`,
		{
			hint: "start it: systemctl start rkt-metadata.socket, or rkt metadata-service &; or leave --mds-register away",
			cause: error,
		},
	);
}

function open(socket: string): Promise<void> {
	return new Promise((resolve, reject) => {
		const connection = connect(socket, () => {
			connection.destroy();
			resolve();
		});
		connection.once("error", reject);
	});
}

interface Call {
	readonly socket: string;
	readonly method: "PUT" | "DELETE";
	readonly path: string;
	readonly body?: Uint8Array;
}

function send({ socket, method, path, body }: Call): Promise<{ status: number; text: string }> {
	return new Promise((resolve, reject) => {
		const headers = { "content-length": body?.length ?? 0, connection: "close" };
		const call = request({ socketPath: socket, method, path, headers, timeout: TIMEOUT_MS }, (response) => {
			const chunks: Buffer[] = [];
			response.on("data", (chunk: Buffer) => {
				if (chunks.length < 4) chunks.push(chunk);
			});
			response.once("error", reject);
			response.once("end", () => {
				const text = Buffer.concat(chunks).toString("utf8").trim().slice(0, 500);
				resolve({ status: response.statusCode ?? 0, text });
			});
		});
		call.once("timeout", () => call.destroy(new Error(`no answer within ${TIMEOUT_MS / 1000} s`)));
		call.once("error", reject);
		call.end(body);
	});
}
