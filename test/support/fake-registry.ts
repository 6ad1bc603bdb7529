import * as http from "node:http";
import type { AddressInfo } from "node:net";
import { makeIndex, OCI_INDEX, type TestOciImage } from "./oci-image.ts";
import { sha256 } from "./oci-layer.ts";

export interface RegistryRequest {
	readonly method: string;
	/** With the query. */
	readonly url: string;
	readonly headers: http.IncomingHttpHeaders;
	readonly body: string;
}

/** Answers a request instead of the registry; false leaves it to the registry. */
export type Intercept = (request: RegistryRequest, response: http.ServerResponse) => boolean;

/** A registry in this process, over plain http, that can be made to misbehave. */
export interface FakeRegistry {
	/** `127.0.0.1:PORT`. */
	readonly host: string;
	/** Oldest first. */
	readonly requests: RegistryRequest[];
	/** What answers first; exchange it at will. */
	intercept: Intercept;
	/** `name` is `REPOSITORY:TAG`. Several images are put into an index. */
	push(name: string, ...images: TestOciImage[]): void;
	/** A manifest or index as it is, under a tag and its digest. */
	pushDocument(name: string, bytes: Buffer, mediaType: string): void;
	pushBlob(repository: string, bytes: Buffer): void;
	close(): Promise<void>;
}

interface Document {
	readonly bytes: Buffer;
	readonly mediaType: string;
}

export async function startFakeRegistry(): Promise<FakeRegistry> {
	const documents = new Map<string, Document>();
	const blobs = new Map<string, Buffer>();
	const requests: RegistryRequest[] = [];
	const server = http.createServer((request, response) => {
		const parts: Buffer[] = [];
		request.on("data", (part: Buffer) => parts.push(part));
		request.on("end", () => {
			const { method = "", url = "", headers } = request;
			const body = Buffer.concat(parts).toString();
			const recorded = { method, url, headers, body };
			requests.push(recorded);
			if (!registry.intercept(recorded, response)) answer(recorded, response);
		});
	});
	const answer = ({ url, headers }: RegistryRequest, response: http.ServerResponse): void => {
		const [, repository, kind, name] = /^\/v2\/(.+)\/(manifests|blobs)\/([^/]+)$/.exec(url) ?? [];
		const document = documents.get(`${repository}/${name}`);
		const blob = blobs.get(`${repository}/${name}`);
		if (kind === "manifests" && document) {
			const { bytes, mediaType } = document;
			const digest = { "docker-content-digest": sha256(bytes) };
			response
				.writeHead(200, { "content-type": mediaType, "content-length": bytes.length, ...digest })
				.end(bytes);
		} else if (kind === "blobs" && blob) sendBlob(blob, headers.range, response);
		else {
			const error = { errors: [{ code: kind === "blobs" ? "BLOB_UNKNOWN" : "MANIFEST_UNKNOWN" }] };
			response.writeHead(404, { "content-type": "application/json" }).end(JSON.stringify(error));
		}
	};
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	const registry: FakeRegistry = {
		host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
		requests,
		intercept: () => false,
		push: (name, ...images) => {
			const repository = name.split(":")[0] as string;
			for (const image of images) {
				for (const bytes of image.blobs.values()) registry.pushBlob(repository, bytes);
				registry.pushDocument(name, image.manifest, image.manifestType);
			}
			if (images.length > 1) registry.pushDocument(name, makeIndex(images), OCI_INDEX);
		},
		pushDocument: (name, bytes, mediaType) => {
			const [repository, tag] = name.split(":");
			for (const key of [tag, sha256(bytes)]) documents.set(`${repository}/${key}`, { bytes, mediaType });
		},
		pushBlob: (repository, bytes) => void blobs.set(`${repository}/${sha256(bytes)}`, bytes),
		close: () =>
			new Promise((resolve) => {
				server.closeAllConnections();
				server.close(() => resolve());
			}),
	};
	return registry;
}

function sendBlob(blob: Buffer, range: string | undefined, response: http.ServerResponse): void {
	const start = Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1] ?? 0);
	const part = blob.subarray(start);
	const type = { "content-type": "application/octet-stream", "content-length": part.length };
	if (start === 0) response.writeHead(200, type).end(part);
	else {
		const place = `bytes ${start}-${blob.length - 1}/${blob.length}`;
		response.writeHead(206, { ...type, "content-range": place }).end(part);
	}
}
