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
			if (socket.connecting || limits.secure)
				socket.once(limits.secure ? "secureConnect" : "connect", connected);
			else connected();
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
