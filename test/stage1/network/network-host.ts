import { spawn, spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import * as dgram from "node:dgram";
import { once } from "node:events";
import * as fs from "node:fs";
import * as net from "node:net";
import * as path from "node:path";
import { lockPath } from "../../../lib/lock.ts";
import type { Log } from "../../../lib/log.ts";
import { createLinuxSyscall } from "../../../lib/syscall/linux.ts";
import { CLONE_NEWNET } from "../../../lib/syscall/syscall.ts";
import { parseNetList } from "../../../stage1/network/net-list.ts";
import { setUpNetwork } from "../../../stage1/network/set-up.ts";
import { tearDownNetwork } from "../../../stage1/network/tear-down.ts";
import type { ForwardedPort, NetworkResult, SetUpOptions } from "../../../stage1/network/types.ts";
import type { ChildJob } from "./network-child.ts";

export const syscall = createLinuxSyscall();
/** What the code under test wrote to its log. */
export const logged: string[] = [];
const log: Log = {
	info: (message) => logged.push(message),
	debug: (message) => logged.push(message),
	debugging: true,
	withPrefix: () => log,
};

/** A pod directory that is locked, as that of a running pod. */
export interface TestPod {
	uuid: string;
	podDirectory: string;
	setUp(net: string, ports?: readonly ForwardedPort[], more?: Partial<SetUpOptions>): NetworkResult;
	tearDown(): void;
	/** The end of the pod's last process. */
	unlock(): void;
	/** As gc does it; gives the pod in its new place. */
	moveToGarbage(): void;
	job(action: ChildJob["action"], net: string, ports?: readonly ForwardedPort[], killAt?: number): ChildJob;
}

/** Directories as rkt has them, outside of the machine's own. */
export interface NetworkHost {
	readonly directory: string;
	readonly netDirectory: string;
	makePod(): TestPod;
	/** A network configuration, or anything else, in net.d. */
	configure(fileName: string, content: unknown, mode?: number): void;
	/**
	 * Runs network-child.ts. Gives its exit status, null after a signal, and its output. It is killed as soon as
	 * the file `killWhen` exists.
	 */
	runChild(
		job: ChildJob,
		killWhen?: string,
	): Promise<{ status: number | null; output: string; errors: string }>;
}

/** Call it inside a private host. */
export function createNetworkHost(): NetworkHost {
	const directory = fs.mkdtempSync("/var/tmp/rkt-net-test-");
	const localConfig = path.join(directory, "etc");
	const netDirectory = path.join(localConfig, "net.d");
	fs.mkdirSync(netDirectory, { recursive: true });
	for (const state of ["run", "exited-garbage"]) {
		fs.mkdirSync(path.join(directory, "pods", state), { recursive: true });
	}
	let program: string | undefined;
	return {
		directory,
		netDirectory,
		makePod: () => makePod(directory, localConfig),
		configure: (fileName, content, mode = 0o644) => {
			const text = typeof content === "string" ? content : JSON.stringify(content);
			fs.writeFileSync(path.join(netDirectory, fileName), text);
			fs.chmodSync(path.join(netDirectory, fileName), mode);
		},
		runChild: (job, killWhen) => {
			program ??= buildChild(directory);
			return runChild(program, job, killWhen);
		},
	};
}

function makePod(directory: string, localConfig: string): TestPod {
	const uuid = randomUUID();
	const podDirectory = path.join(directory, "pods/run", uuid);
	fs.mkdirSync(podDirectory);
	let lock = lockPath(syscall, podDirectory);
	const context = (): Omit<SetUpOptions, "net" | "ports"> => ({
		podDirectory: pod.podDirectory,
		uuid,
		localConfig,
		syscall,
		log,
		pluginTimeoutMs: 20_000,
	});
	const pod: TestPod = {
		uuid,
		podDirectory,
		setUp: (list, ports = [], more = {}) =>
			setUpNetwork({ ...context(), net: parseNetList([list]), ports, ...more }),
		tearDown: () => tearDownNetwork(context()),
		unlock: () => {
			lock?.release();
			lock = undefined;
		},
		moveToGarbage: () => {
			const target = path.join(directory, "pods/exited-garbage", uuid);
			fs.renameSync(pod.podDirectory, target);
			pod.podDirectory = target;
		},
		job: (action, list, ports = [], killAt = undefined) => ({
			action,
			podDirectory: pod.podDirectory,
			uuid,
			localConfig,
			net: list,
			ports,
			...(killAt === undefined ? {} : { killAt }),
		}),
	};
	return pod;
}

async function runChild(
	program: string,
	job: ChildJob,
	killWhen?: string,
): ReturnType<NetworkHost["runChild"]> {
	const child = spawn(process.execPath, [program, JSON.stringify(job)], {
		env: { PATH: process.env.PATH, NODE_PATH: path.resolve("node_modules") },
	});
	const collected = { output: "", errors: "" };
	child.stdout.on("data", (chunk) => {
		collected.output += chunk;
	});
	child.stderr.on("data", (chunk) => {
		collected.errors += chunk;
	});
	while (killWhen !== undefined && child.exitCode === null) {
		if (fs.existsSync(killWhen)) child.kill("SIGKILL");
		if (child.killed) break;
		await new Promise((resolve) => setTimeout(resolve, 5));
	}
	const [status] = (await once(child, killWhen === undefined ? "close" : "exit")) as [number | null];
	return { status, ...collected };
}

function buildChild(directory: string): string {
	const program = path.join(directory, "network-child.cjs");
	const options = ["--bundle", "--platform=node", "--format=cjs", "--external:koffi", "--log-level=error"];
	const source = "test/stage1/network/network-child.ts";
	const result = spawnSync("node_modules/.bin/esbuild", [source, ...options, `--outfile=${program}`]);
	if (result.status !== 0) throw new Error(String(result.stderr));
	return program;
}

export function command(program: string, ...args: string[]): string {
	const result = spawnSync(program, args, { encoding: "utf8" });
	if (result.status !== 0) throw new Error(`${program} ${args.join(" ")}: ${result.stderr}`);
	return result.stdout;
}

/** Everything outside pod directories that a network can leave behind. */
export function traces(): string[] {
	const interfaces = command("ip", "-o", "link")
		.split("\n")
		.filter(Boolean)
		.map((line) => `link ${line.split(":")[1]?.trim()}`);
	const rules = command("iptables-save")
		.split("\n")
		.filter((line) => /^-|^:CNI/.test(line))
		.map((line) => line.replace(/\[.*\]/, ""));
	const leases = fs
		.readdirSync("/var/lib/cni", { recursive: true, encoding: "utf8" })
		.filter((name) => /\/[0-9.]+$/.test(name));
	// Mounts of the machine below the private host's own are not ours.
	const mountLines = fs.readFileSync("/proc/self/mountinfo", "utf8").split("\n");
	const visible = mountLines.findLast((line) => line.split(" ")[4] === "/run/netns")?.split(" ")[0];
	const mounts = mountLines
		.filter((line) => line.split(" ")[1] === visible)
		.map((line) => `mount ${line.split(" ")[4]}`);
	const localnet = ["lo", "ext0", "cni0"].flatMap((name) => {
		const file = `/proc/sys/net/ipv4/conf/${name}/route_localnet`;
		return fs.existsSync(file) ? [`${name} ${fs.readFileSync(file, "utf8").trim()}`] : [];
	});
	return [...interfaces, ...rules, ...leases, ...mounts, ...localnet, ...fs.readdirSync("/run/netns")].sort();
}

/** Moves the main thread into a namespace for as long as the action takes. */
export async function inside<T>(namespace: string | undefined, action: () => Promise<T>): Promise<T> {
	const own = fs.openSync("/proc/thread-self/ns/net", "r");
	const target = namespace === undefined ? own : fs.openSync(namespace, "r");
	syscall.setns(target, CLONE_NEWNET);
	try {
		return await action();
	} finally {
		syscall.setns(own, CLONE_NEWNET);
		fs.closeSync(own);
		if (target !== own) fs.closeSync(target);
	}
}

export interface TestServer {
	close(): Promise<void>;
}

/** Answers every connection or datagram with `text` and the address that it came from. */
export async function serve(
	namespace: string | undefined,
	protocol: "tcp" | "udp",
	port: number,
	text: string,
	address = "0.0.0.0",
): Promise<TestServer> {
	return inside(namespace, async () => {
		if (protocol === "udp") {
			const socket = dgram.createSocket("udp4");
			socket.on("message", (_message, from) =>
				socket.send(`${text} ${from.address}`, from.port, from.address),
			);
			socket.bind(port, address);
			await once(socket, "listening");
			return { close: async () => void socket.close() };
		}
		const server = net.createServer((socket) => {
			socket.on("error", () => undefined);
			socket.end(`${text} ${socket.remoteAddress}`);
		});
		server.listen(port, address);
		await once(server, "listening");
		return {
			close: async () => {
				server.close();
				await once(server, "close");
			},
		};
	});
}

/** What the server there answers; the errno name, or "timeout" after half a second. */
export async function ask(
	namespace: string | undefined,
	protocol: "tcp" | "udp",
	address: string,
	port: number,
): Promise<string> {
	return inside(namespace, () => (protocol === "tcp" ? askTcp(address, port) : askUdp(address, port)));
}

async function askTcp(address: string, port: number): Promise<string> {
	const socket = net.connect({ host: address, port });
	return new Promise((resolve) => {
		let answer = "";
		socket.setTimeout(500, () => {
			resolve("timeout");
			socket.destroy();
		});
		socket.on("data", (chunk) => {
			answer += chunk;
		});
		socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? "error"));
		socket.on("close", () => resolve(answer));
	});
}

async function askUdp(address: string, port: number): Promise<string> {
	const socket = dgram.createSocket("udp4");
	socket.bind(0);
	await once(socket, "listening");
	return new Promise((resolve) => {
		const done = (answer: string): void => {
			clearTimeout(timer);
			socket.close();
			resolve(answer);
		};
		const timer = setTimeout(() => done("timeout"), 500);
		socket.on("message", (message) => done(String(message)));
		socket.on("error", (error: NodeJS.ErrnoException) => done(error.code ?? "error"));
		socket.send("?", port, address);
	});
}
