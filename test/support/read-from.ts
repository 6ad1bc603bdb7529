import * as net from "node:net";

/** What a server sends, tried again until it listens and for at most 20 s; then empty. */
export async function readFrom(address: string, port: number): Promise<string> {
	const deadline = Date.now() + 20_000;
	for (;;) {
		const text = await readOnce(address, port);
		if (text !== "" || Date.now() > deadline) return text;
		await new Promise((resolve) => setTimeout(resolve, 100));
	}
}

function readOnce(host: string, port: number): Promise<string> {
	return new Promise((resolve) => {
		let received = "";
		const socket = net.connect({ host, port, timeout: 2000 });
		socket.on("data", (chunk) => {
			received += chunk;
		});
		socket.on("timeout", () => socket.destroy());
		socket.on("error", () => undefined);
		socket.on("close", () => resolve(received));
	});
}
