import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { unmountBelow } from "../../lib/mountinfo.ts";
import { createLinuxSyscall } from "../../lib/syscall/linux.ts";
import { APPC_VERSION } from "../../lib/version.ts";
import { mountIdmapped } from "../../stage0/pod/idmap.ts";
import { formatUserRange, type UserRange } from "../../stage0/pod/user-range.ts";
import { buildEnterArguments, type EnterOptions } from "../../stage1/arguments.ts";
import { type EntrypointName, readEntrypoints } from "../../stage1/entrypoints.ts";
import { privateUsersPath } from "../../stage1/pod-paths.ts";
import { isSupervisorReady, readContainerPid } from "../../stage1/pod-record.ts";
import { openUserNamespace } from "../../stage1/user-namespace.ts";
import { waitFor } from "./wait-for.ts";

/*
 * The least that a stage1 needs of a stage0: a pod directory made by hand, overlays, the lock, and the entry point
 * called. For tests of a stage1 by itself; any backend's image can be given.
 */

export interface MiniApp {
	readonly name: string;
	/** Directory with the image's root file system. */
	readonly rootfs: string;
	/** Members of the `app` section beside user and group, which are root by default. */
	readonly app: Record<string, unknown>;
	/** Members of the runtime app, such as mounts. */
	readonly runtime?: Record<string, unknown>;
	readonly annotations?: readonly { name: string; value: string }[];
}

export interface MiniPod {
	readonly uuid: string;
	readonly directory: string;
}

export interface MiniStage0 {
	/** The unpacked stage1 image, which stands for the tree store. */
	readonly stage1: string;
	prepare(apps: readonly MiniApp[], manifest?: Record<string, unknown>): MiniPod;
	/** The words of a command that starts a pod. */
	startCommand(pod: MiniPod, args?: readonly string[], options?: StartOptions): string[];
	/** Starts the entry point `run` and gives the process, which becomes the pod's supervisor. */
	start(pod: MiniPod, args?: readonly string[], options?: StartOptions): ChildProcess;
	/** What a pod that was started printed, and its end; a pod that hangs is ended after half a minute. */
	collect(child: ChildProcess): Promise<MiniResult>;
	/** Starts a pod and waits for its end. */
	run(pod: MiniPod, args?: readonly string[], options?: StartOptions): Promise<MiniResult>;
	/** Calls another entry point. */
	call(pod: MiniPod, entrypoint: "gc" | "stop", args?: readonly string[]): MiniResult;
	/** The words of a command that runs another one in an app of a running pod; the working directory is the pod's. */
	enterCommand(pod: MiniPod, app: string, command: readonly string[]): string[];
	/** Runs such a command to its end; `descriptors` are inherited. */
	enter(pod: MiniPod, app: string, command: readonly string[], descriptors?: readonly number[]): MiniResult;
	/** Runs the probe of the isolation there, with JSON as its output. */
	probe(pod: MiniPod, app: string): MiniResult;
	/** PID 1 of a pod, once all its apps were started. */
	containerPid(pod: MiniPod): Promise<number>;
	/** Collects a pod and removes its directory. */
	remove(pod: MiniPod): void;
}

/** Users of their own for every pod: the ids, and a namespace that has them. */
export interface MiniUsers {
	readonly range: UserRange;
	readonly namespace: number;
}

export async function openMiniUsers(shift: number): Promise<MiniUsers> {
	const range = { shift, count: 65536 };
	return { range, namespace: await openUserNamespace(range) };
}

export interface StartOptions {
	/** The executable instead of the module. */
	readonly script?: boolean;
	/** Text for standard input, which is a pipe then; else it is /dev/null. */
	readonly input?: string;
	readonly environment?: Record<string, string>;
	/** Descriptors that the entry point inherits, from 3 on. */
	readonly descriptors?: readonly number[];
}

export interface MiniResult {
	readonly status: number | null;
	readonly stdout: string;
	readonly stderr: string;
}

/** `image` is the stage1 ACI; everything is kept below `directory`. */
export function createMiniStage0(directory: string, image: string, users?: MiniUsers): MiniStage0 {
	const tree = path.join(directory, "stage1");
	fs.mkdirSync(tree, { recursive: true });
	check(spawnSync("tar", ["-xf", image, "-C", tree]));
	const stage1 = path.join(tree, "rootfs");
	const entrypoints = readEntrypoints(JSON.parse(fs.readFileSync(path.join(tree, "manifest"), "utf8")));
	const executable = (name: EntrypointName): string => path.join(stage1, entrypoints[name] ?? `no ${name}`);
	const syscall = createLinuxSyscall();

	const startCommand = (pod: MiniPod, args: readonly string[] = [], options: StartOptions = {}): string[] => {
		const given = [...(users ? [`--private-users=${formatUserRange(users.range)}`] : []), ...args];
		const argv = [...(args.some((arg) => arg.startsWith("--net")) ? [] : ["--net=none"]), ...given, pod.uuid];
		const module = options.script ? undefined : entrypoints.module;
		const words = [pod.directory, entrypoints.run, module ? path.join(stage1, module) : "", ...argv];
		return ["sh", "-c", START, "sh", ...words];
	};
	const start = (pod: MiniPod, args: readonly string[] = [], options: StartOptions = {}): ChildProcess => {
		const [program = "", ...words] = startCommand(pod, args, options);
		const child = spawn(program, words, {
			stdio: [
				options.input === undefined ? "ignore" : "pipe",
				"pipe",
				"pipe",
				...(options.descriptors ?? []),
			],
			env: { ...process.env, ...options.environment },
		});
		child.stdin?.end(options.input);
		return child;
	};
	const call = (pod: MiniPod, entrypoint: "gc" | "stop", args: readonly string[] = []): MiniResult => {
		const argv = [...args, pod.uuid];
		return spawnSync(executable(entrypoint), argv, { cwd: pod.directory, encoding: "utf8" });
	};
	const containerPid = async (pod: MiniPod): Promise<number> => {
		await waitFor("the pod to be ready", () => isSupervisorReady(pod.directory));
		return readContainerPid(pod.directory) as number;
	};
	const enterWords = (pod: MiniPod, options: Omit<EnterOptions, "pid">): string[] => [
		executable("enter"),
		...buildEnterArguments({ pid: readContainerPid(pod.directory) ?? 1, ...options }),
	];
	const enter = (
		pod: MiniPod,
		options: Omit<EnterOptions, "pid">,
		descriptors: readonly number[] = [],
	): MiniResult => {
		const [program = "", ...words] = enterWords(pod, options);
		const stdio = ["pipe", "pipe", "pipe", ...descriptors] as const;
		return spawnSync(program, words, { cwd: pod.directory, encoding: "utf8", stdio: [...stdio] });
	};
	return {
		stage1,
		enterCommand: (pod, app, command) => enterWords(pod, { app, command }),
		prepare: (apps, manifest = {}) => {
			const pod = preparePod(path.join(directory, "pods"), apps, manifest, users);
			const lowers = new Map(apps.map((app) => [app.name, app.rootfs])).set(STAGE1_LOWER, stage1);
			for (const [name, lower] of lowers) {
				const file = path.join(pod.directory, "lower", name);
				if (users) {
					fs.mkdirSync(file);
					mountIdmapped(syscall, lower, file, users.namespace);
				} else fs.symlinkSync(lower, file);
			}
			return pod;
		},
		start,
		startCommand,
		call,
		collect,
		containerPid,
		run: (pod, args, options) => collect(start(pod, args, options)),
		enter: (pod, app, command, descriptors) => enter(pod, { app, command }, descriptors),
		probe: (pod, app) => enter(pod, { app, command: ["--format=json"], probe: true }),
		remove: (pod) => {
			check(call(pod, "gc"));
			unmountBelow(syscall, pod.directory);
			fs.rmSync(pod.directory, { recursive: true, force: true });
		},
	};
}

/** The directory in `lower` of a pod that is no app's: their names have no dot. */
const STAGE1_LOWER = ".stage1";

/** $1 pod, $2 `run` in the image, $3 module or nothing, then the arguments. Mounts as stage0 does, in the caller's namespace. */
const START = `set -e
pod=$1 run=$2 module=$3; shift 3
s1=$pod/stage1/rootfs
mount -t overlay overlay -o "lowerdir=$pod/lower/${STAGE1_LOWER},upperdir=$pod/overlay/tree/upper,workdir=$pod/overlay/tree/work" "$s1"
mkdir -p "$s1/rkt/status" "$s1/rkt/env"
for app in $(ls "$pod/appsinfo"); do
	mkdir -p "$s1/opt/stage2/$app/rootfs"
	cp "$pod/appsinfo/$app/manifest" "$s1/opt/stage2/$app/manifest"
	mount -t overlay overlay -o "lowerdir=$pod/lower/$app,upperdir=$pod/overlay/$app/upper,workdir=$pod/overlay/$app/work" "$s1/opt/stage2/$app/rootfs"
done
cd "$pod"
exec 9<"$pod"; flock -n 9
export RKT_LOCK_FD=9
if [ -z "$module" ]; then exec "$s1$run" "$@"; fi
exec node -e '
const [module, ...argv] = process.argv.slice(1);
require(module).main("run", argv, { podDirectory: process.cwd(), environment: process.env }).catch((error) => {
	console.error("stage1: " + (error.name === "RktError" ? error.message : error.stack));
	process.exitCode = 254;
})' "$module" "$@"`;

function preparePod(
	pods: string,
	apps: readonly MiniApp[],
	manifest: Record<string, unknown>,
	users: MiniUsers | undefined,
): MiniPod {
	const uuid = randomUUID();
	const directory = path.join(pods, uuid);
	const make = (name: string): void => {
		fs.mkdirSync(path.join(directory, name), { recursive: true });
	};
	const shift = users?.range.shift ?? 0;
	const write = (name: string, text: string): void => fs.writeFileSync(path.join(directory, name), text);
	for (const name of ["stage1/rootfs", "appsinfo", "lower", "overlay/tree/upper", "overlay/tree/work"])
		make(name);
	write("pod-created", "");
	write("overlay-prepared", "");
	write("stage1TreeStoreID", "tree");
	if (users) write(path.basename(privateUsersPath(directory)), formatUserRange(users.range));
	fs.chownSync(path.join(directory, "overlay/tree/upper"), shift, shift);
	for (const app of apps) {
		make(`appsinfo/${app.name}`);
		for (const kind of ["upper", "work"]) make(`overlay/${app.name}/${kind}`);
		fs.chownSync(path.join(directory, `overlay/${app.name}/upper`), shift, shift);
		write(`appsinfo/${app.name}/manifest`, JSON.stringify(imageManifest(app)));
	}
	write("pod", JSON.stringify(podManifest(apps, manifest)));
	return { uuid, directory };
}

function imageManifest(app: MiniApp): unknown {
	return {
		acKind: "ImageManifest",
		acVersion: APPC_VERSION,
		name: `example.com/${app.name}`,
		labels: [],
		app: { exec: [], user: "0", group: "0", ...app.app },
		annotations: app.annotations ?? [],
	};
}

function podManifest(apps: readonly MiniApp[], manifest: Record<string, unknown>): unknown {
	return {
		acKind: "PodManifest",
		acVersion: APPC_VERSION,
		apps: apps.map((app) => ({
			name: app.name,
			image: { id: `sha512-${"0".repeat(128)}`, name: `example.com/${app.name}` },
			...app.runtime,
		})),
		...manifest,
	};
}

function collect(child: ChildProcess): Promise<MiniResult> {
	const output = { stdout: "", stderr: "" };
	child.stdout?.on("data", (chunk) => {
		output.stdout += chunk;
	});
	child.stderr?.on("data", (chunk) => {
		output.stderr += chunk;
	});
	const timer = setTimeout(() => child.kill("SIGTERM"), 30_000);
	return new Promise((resolve) => {
		child.on("close", (status) => {
			clearTimeout(timer);
			resolve({ status, ...output });
		});
	});
}

function check(result: { status: number | null; stderr?: unknown }): void {
	if (result.status !== 0) throw new Error(`command failed: ${String(result.stderr)}`);
}
