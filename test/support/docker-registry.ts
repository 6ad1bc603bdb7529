import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as net from "node:net";
import * as path from "node:path";
import type { Certificates } from "./certificates.ts";
import { waitFor } from "./wait-for.ts";

/** Debian's docker-registry on the loopback address, over TLS. */
export interface DockerRegistry {
	/** `HOST:PORT`. */
	readonly host: string;
	/** What it was asked, as `METHOD STATUS PATH`, oldest first; cut to the requests since the last call. */
	requests(): string[];
	close(): Promise<void>;
}

export type RegistryAccess =
	| { readonly type: "open" }
	/** One user, {@link REGISTRY_USER}. */
	| { readonly type: "basic" }
	/** Tokens of a server that signs with the key of this certificate. */
	| { readonly type: "token"; readonly realm: string; readonly certificateFile: string };

export interface DockerRegistryOptions {
	/** Of the certificates. */
	readonly name: string;
	readonly port: number;
	readonly certificates: Certificates;
	readonly access: RegistryAccess;
	/** Images; two registries may have the same. */
	readonly storage: string;
	/** For the configuration and the log. */
	readonly directory: string;
}

export const REGISTRY_USER = { user: "reader", password: "secret" };
/** bcrypt of the password. */
const HTPASSWD = "reader:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n";
export const TOKEN_SERVICE = "rkt test registry";
export const TOKEN_ISSUER = "rkt test issuer";

export async function startDockerRegistry(options: DockerRegistryOptions): Promise<DockerRegistry> {
	const { name, port, certificates, storage, directory } = options;
	fs.mkdirSync(directory, { recursive: true });
	const file = (base: string, text: string): string => {
		fs.writeFileSync(path.join(directory, base), text, { mode: 0o600 });
		return path.join(directory, base);
	};
	const configuration = {
		version: 0.1,
		log: { level: "error", accesslog: { disabled: false } },
		storage: { filesystem: { rootdirectory: storage } },
		http: {
			addr: `127.0.0.1:${port}`,
			tls: {
				certificate: file("server.pem", certificates.certificate),
				key: file("server.key", certificates.key),
			},
		},
		...accessMembers(options.access, file),
	};
	const log = path.join(directory, "log");
	const output = fs.openSync(log, "w");
	// JSON is YAML.
	const child = spawn("docker-registry", ["serve", file("config.yml", JSON.stringify(configuration))], {
		stdio: ["ignore", output, output],
	});
	fs.closeSync(output);
	await waitFor("the registry", () => {
		if (child.exitCode !== null) throw new Error(`docker-registry ended:\n${fs.readFileSync(log, "utf8")}`);
		return isListening(port);
	});
	let read = 0;
	return {
		host: `${name}:${port}`,
		requests: () => {
			const text = fs.readFileSync(log, "utf8");
			const lines = [...text.slice(read).matchAll(/"(GET|HEAD|PUT|POST|PATCH) (\S+) HTTP\/[0-9.]+" (\d+)/g)];
			read = text.length;
			return lines.map(([, method, url, status]) => `${method} ${status} ${url}`);
		},
		close: () => end(child),
	};
}

function accessMembers(access: RegistryAccess, file: (base: string, text: string) => string): object {
	switch (access.type) {
		case "open":
			return {};
		case "basic":
			return { auth: { htpasswd: { realm: "rkt test", path: file("htpasswd", HTPASSWD) } } };
		case "token": {
			const { realm, certificateFile } = access;
			return {
				auth: {
					token: { realm, service: TOKEN_SERVICE, issuer: TOKEN_ISSUER, rootcertbundle: certificateFile },
				},
			};
		}
	}
}

/** Whether somebody accepts connections on this port of the loopback address. */
export function isListening(port: number): Promise<boolean> {
	return new Promise((resolve) => {
		const socket = net.connect(port, "127.0.0.1");
		socket.once("error", () => resolve(false));
		socket.once("connect", () => {
			socket.destroy();
			resolve(true);
		});
	});
}

function end(child: ChildProcess): Promise<void> {
	return new Promise((resolve) => {
		if (child.exitCode !== null || child.signalCode !== null) return resolve();
		child.once("exit", () => resolve());
		child.kill("SIGKILL");
	});
}
