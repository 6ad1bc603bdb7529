import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { compilePrograms } from "../../stage1-kvm/image/programs.ts";

/** The control channel's programs, with a process in place of the virtual machine that the monitor starts. */
export interface FakeMachine {
	/** A guest that runs the real agent in a root of its own, whose helper confines nothing. */
	readonly guest: readonly string[];
	/** Of that guest; its programs are in rkt/vm, and whoever runs them needs `/dev/null` there. */
	readonly root: string;
	/** Directory of the compiled programs. */
	readonly programs: string;
	/**
	 * A guest that takes `window` bytes at once, 0 for any number, and runs `script` with `frame(session, type, payload)`,
	 * `number(n)`, `send(bytes)` and `onStart(session => ...)`.
	 */
	hostileGuest(script: string, window?: number): readonly string[];
	start(hypervisor: readonly string[], options?: StartOptions): FakePod;
}

export interface StartOptions {
	/** The monitor's streams are those of the app. */
	readonly attach?: boolean;
	readonly helper?: readonly string[];
	/** More flags of the monitor. */
	readonly flags?: readonly string[];
	readonly environment?: Readonly<Record<string, string>>;
}

export interface FakePod {
	readonly directory: string;
	readonly monitor: ChildProcess;
	readonly ended: Promise<Ending>;
	/** Runs the client; `words` is the command in the app. */
	enter(...words: readonly string[]): ChildProcess;
}

export interface Ending {
	readonly status: number | null;
	readonly signal: NodeJS.Signals | null;
	readonly stdout: Buffer;
	readonly stderr: string;
}

/** 37 is SIGRTMIN+3, at which systemd begins the way down. The agent is started again, as its unit has it. */
const GUEST = `trap 'echo 7 > /rkt/pod-status; exit 0' 37
while :; do /rkt/vm/agent fd:3 & wait $!; done
`;

const HELPER = `#!/bin/sh
while [ "$1" != -- ]; do shift; done
shift
exec "$@"
`;

const HOSTILE_GUEST = `
const channel = new (require("node:net").Socket)({ fd: 3 });
const send = (bytes) => channel.write(bytes);
const frame = (session, type, payload = Buffer.alloc(0), length = payload.length) => {
	const header = Buffer.alloc(8);
	header.writeUInt32LE(length, 0);
	header.writeUInt16LE(session, 4);
	header[6] = type;
	return Buffer.concat([header, payload]);
};
const onStart = (then) => channel.once("data", (bytes) => then(bytes.readUInt16LE(4)));
setInterval(() => {}, 1000);
const number = (n) => Buffer.from(Uint32Array.of(n).buffer);

`;

/** Needs root, and a mount namespace that is nobody else's: mounts below `directory`. */
export function createFakeMachine(directory: string): FakeMachine {
	const programs = path.join(directory, "programs");
	const root = path.join(directory, "root");
	fs.mkdirSync(programs);
	compilePrograms(programs, process.cwd());
	makeRoot(root, programs);
	let count = 0;
	return {
		guest: ["/usr/sbin/chroot", root, "/bin/sh", "-c", GUEST],
		root,
		programs,
		hostileGuest: (script, window = 0) => {
			const hello = `send(frame(0, 22, number(${window})));`;
			return [process.execPath, "-e", `${HOSTILE_GUEST}${hello}${script}`];
		},
		start: (hypervisor, options = {}) => {
			const pod = path.join(directory, `pod-${count++}`);
			fs.mkdirSync(pod);
			fs.rmSync(path.join(root, "rkt/pod-status"), { force: true });
			return start({ pod, programs, root }, hypervisor, options);
		},
	};
}

function makeRoot(root: string, programs: string): void {
	for (const name of ["bin", "dev", "proc", "rkt/vm", "rkt/spec", "rkt/seccomp"])
		fs.mkdirSync(path.join(root, name), { recursive: true });
	fs.copyFileSync("/usr/bin/busybox", path.join(root, "bin/busybox"));
	for (const name of ["sh", "cat", "sleep", "stty", "seq", "yes", "head", "kill", "true", "touch"])
		fs.symlinkSync("busybox", path.join(root, "bin", name));
	fs.copyFileSync(path.join(programs, "agent"), path.join(root, "rkt/vm/agent"));
	fs.writeFileSync(path.join(root, "rkt/enter-helper"), HELPER, { mode: 0o755 });
	fs.writeFileSync(path.join(root, "rkt/spec/app"), "");
	fs.symlinkSync("ready", path.join(root, "rkt/supervisor-status"));
	const mounted = spawnSync("mount", ["--rbind", "/dev", path.join(root, "dev")], { encoding: "utf8" });
	if (mounted.status !== 0) throw new Error(mounted.stderr);
}

function start(
	{ pod, programs, root }: { pod: string; programs: string; root: string },
	hypervisor: readonly string[],
	{ helper = [], flags = [], environment = {}, attach = false }: StartOptions,
): FakePod {
	const argv = [
		`--status=${root}/rkt/pod-status`,
		...(attach ? [`--attach=${programs}/client`] : []),
		...flags,
		`--helper=${helper.length}`,
		"--",
		...helper,
		...hypervisor,
	];
	const monitor = spawn(path.join(programs, "monitor"), argv, {
		cwd: pod,
		env: { PATH: process.env.PATH ?? "", ...environment },
		stdio: ["ignore", "pipe", "pipe"],
	});
	return {
		directory: pod,
		monitor,
		ended: collect(monitor),
		enter: (...words) =>
			spawn(path.join(programs, "client"), ["--app=app", "--wait=2", "--", ...words], {
				cwd: pod,
				stdio: "pipe",
			}),
	};
}

/** What a process printed and how it ended. */
export function collect(child: ChildProcess): Promise<Ending> {
	const stdout: Buffer[] = [];
	const stderr: Buffer[] = [];
	child.stdout?.on("data", (chunk: Buffer) => stdout.push(chunk));
	child.stderr?.on("data", (chunk: Buffer) => stderr.push(chunk));
	// A command may end before it has read everything.
	child.stdin?.on("error", () => undefined);
	return new Promise((resolve, reject) => {
		child.on("error", reject);
		child.on("close", (status, signal) =>
			resolve({ status, signal, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() }),
		);
	});
}
