import * as fs from "node:fs";
import { execa } from "execa";
import { waitForVersion } from "./etcd-client.ts";
import { environment, IMAGE, type Stage } from "./stage.ts";

export const CLIENT_URL = "http://127.0.0.1:2379";

export interface RunningPod {
	readonly uuid: string;
	/** Resolves with the exit status of `rkt run`. */
	readonly ended: Promise<number>;
	readonly output: () => string;
}

/** Runs etcd as the announcement of rkt 0.8 did, and waits until it answers. */
export async function runEtcd(stage: Stage): Promise<RunningPod> {
	stage.tell.step("rkt run");
	const args = [
		"run",
		"--net",
		"--port=client:2379",
		"--volume",
		`data-dir,kind=host,source=${stage.data}`,
		`${IMAGE}:${stage.version}`,
		"--",
		`--advertise-client-urls=${CLIENT_URL}`,
		"--listen-client-urls=http://0.0.0.0:2379",
	];
	stage.tell.command(`rkt ${args.join(" ")}`);
	const started = performance.now();
	const child = stage.host.start(args, { ...environment(stage), timeoutMs: 600_000 });
	let output = "";
	for (const stream of [child.stdout, child.stderr]) {
		stream?.on("data", (chunk: Buffer) => {
			output += chunk;
		});
	}
	const ended = child.then((result) => result.exitCode ?? 255);
	const gone = ended.then((status) => {
		throw new Error(`rkt run ended with ${status}:\n${output}`);
	});
	gone.catch(() => undefined);
	const answer = await Promise.race([waitForVersion(CLIENT_URL, 60_000), gone]);
	const seconds = ((performance.now() - started) / 1000).toFixed(1);
	stage.tell.output(JSON.stringify(answer));
	stage.tell.prove(
		`${CLIENT_URL}/version answers ${answer.etcdserver}, ${seconds} s after the command was typed`,
		`v${answer.etcdserver}` === stage.version,
	);
	const uuid = await onlyRunningPod(stage);
	return { uuid, ended, output: () => output };
}

async function onlyRunningPod(stage: Stage): Promise<string> {
	const result = await stage.host.rkt(["list", "--full", "--no-legend"]);
	const running = result.stdout.split("\n").filter((line) => /\trunning\t| running /.test(line));
	const uuid = running[0]?.split(/\s/)[0];
	if (running.length !== 1 || uuid === undefined)
		throw new Error(`one running pod expected:\n${result.stdout}`);
	return uuid;
}

/** The journal of a pod carries its UUID without dashes as machine id. */
export async function readJournal(stage: Stage, uuid: string): Promise<string> {
	const id = uuid.replaceAll("-", "");
	const directory = [`/var/log/journal/${id}`, `/run/log/journal/${id}`].find((name) => fs.existsSync(name));
	if (directory === undefined) throw new Error(`there is no journal of machine ${id}`);
	stage.tell.command(`journalctl --directory=${directory} --output=cat`);
	const result = await execa("journalctl", [`--directory=${directory}`, "--output=cat", "--no-pager"]);
	return result.stdout;
}
