import { type ChildProcess, spawn } from "node:child_process";

export interface SystemdHostOptions {
	/** Which hierarchies the host sees: version 1 with controllers, or version 2 only. Default: `hybrid`. */
	readonly cgroup?: "hybrid" | "unified";
	/** After this time the command is ended with status 124. Default: 120. */
	readonly timeoutSeconds?: number;
	/** Paths of the machine that are the same files in the host; the working directory always is. */
	readonly binds?: readonly string[];
	/** A part of the names of everything that the host makes on the machine. */
	readonly name?: string;
	readonly input?: string;
	readonly environment?: NodeJS.ProcessEnv;
}

export interface SystemdHostResult {
	readonly status: number;
	readonly stdout: string;
	readonly stderr: string;
}

/** Runs a command as a service of a freshly booted systemd host; see docs/development-systemd-host.md. */
export async function runInSystemdHost(
	argv: readonly string[],
	options: SystemdHostOptions = {},
): Promise<SystemdHostResult> {
	const child = startSystemdHost(argv, options);
	const stdout: Buffer[] = [];
	const stderr: Buffer[] = [];
	child.stdout?.on("data", (chunk: Buffer) => stdout.push(chunk));
	child.stderr?.on("data", (chunk: Buffer) => stderr.push(chunk));
	child.stdin?.end(options.input ?? "");
	const status = await new Promise<number>((resolve, reject) => {
		child.on("error", reject);
		child.on("close", (code, signal) => {
			if (code === null) reject(new Error(`systemd-host.sh was ended by ${signal}`));
			else resolve(code);
		});
	});
	return { status, stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() };
}

/** The same as a process with pipes as standard streams, for tests that send it signals. */
export function startSystemdHost(argv: readonly string[], options: SystemdHostOptions = {}): ChildProcess {
	const flags = [
		`--cgroup=${options.cgroup ?? "hybrid"}`,
		`--timeout=${options.timeoutSeconds ?? 120}`,
		`--name=${options.name ?? "test"}`,
		...(options.binds ?? []).map((path) => `--bind=${path}`),
	];
	return spawn("bash", ["test/systemd-host/systemd-host.sh", ...flags, "--", ...argv], {
		stdio: "pipe",
		env: options.environment ?? process.env,
	});
}
