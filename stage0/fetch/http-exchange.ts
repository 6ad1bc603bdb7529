import type * as http from "node:http";
import { RktError } from "../../lib/errors.ts";
import { timeoutError } from "./network-error.ts";

const MIN_BYTES_PER_WINDOW = 1024;

export interface ExchangeLimits {
	/** TLS must stand before the connection does. */
	readonly secure: boolean;
	readonly connectMs: number;
	/** Until the answer begins. */
	readonly idleMs: number;
}

/** Sends a request and gives the answer. */
export function exchange(
	request: http.ClientRequest,
	limits: ExchangeLimits,
	body = "",
): Promise<http.IncomingMessage> {
	return new Promise((resolve, reject) => {
		const expire = (ms: number) => setTimeout(() => request.destroy(timeoutError(request.host, ms)), ms);
		let timer = expire(limits.connectMs);
		const connected = () => {
			clearTimeout(timer);
			timer = expire(limits.idleMs);
		};
		request.once("socket", (socket) => {
			const isReady = request.reusedSocket || !(socket.connecting || limits.secure);
			if (isReady) connected();
			else socket.once(limits.secure ? "secureConnect" : "connect", connected);
		});
		request.once("error", (error) => {
			clearTimeout(timer);
			reject(error);
		});
		request.once("response", (response) => {
			clearTimeout(timer);
			resolve(response);
		});
		request.end(body);
	});
}

const MAX_SKIPPED_BYTES = 64 * 1024;
const MAX_SKIP_MS = 1000;

/** Lets go of an answer. A short one is read to its end, so that its connection can serve again. */
export async function skipBody(response: http.IncomingMessage): Promise<void> {
	if (!(Number(response.headers["content-length"]) <= MAX_SKIPPED_BYTES)) return void response.destroy();
	const timer = setTimeout(() => response.destroy(), MAX_SKIP_MS);
	const closed = new Promise((resolve) => response.once("close", resolve));
	response.resume();
	await closed;
	clearTimeout(timer);
}

/** Ends an answer with an error when the peer falls silent or trickles. */
export function guardAgainstStall(response: http.IncomingMessage, idleMs: number): void {
	const { socket } = response;
	let seen = socket.bytesRead;
	const timer = setInterval(() => {
		if (socket.bytesRead - seen < MIN_BYTES_PER_WINDOW) {
			response.destroy(
				new RktError("network-timeout", `the server sent less than 1 KiB in ${idleMs / 1000} s`),
			);
		}
		seen = socket.bytesRead;
	}, idleMs);
	response.once("close", () => clearInterval(timer));
}
