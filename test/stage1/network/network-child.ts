import type * as childProcess from "node:child_process";
import type * as fs from "node:fs";
import { createRequire } from "node:module";
import { createLog, writeStdout } from "../../../lib/log.ts";
import { createLinuxSyscall } from "../../../lib/syscall/linux.ts";
import type { Syscall } from "../../../lib/syscall/syscall.ts";
import { parseNetList } from "../../../stage1/network/net-list.ts";
import { setUpNetwork } from "../../../stage1/network/set-up.ts";
import { tearDownNetwork } from "../../../stage1/network/tear-down.ts";
import type { ForwardedPort } from "../../../stage1/network/types.ts";

/** One set-up or tear-down in a process of its own, that can be killed. */
export interface ChildJob {
	readonly action: "set-up" | "tear-down";
	readonly podDirectory: string;
	readonly uuid: string;
	readonly localConfig: string;
	readonly net: string;
	readonly ports: readonly ForwardedPort[];
	/** SIGKILL before the step of this number that changes state. */
	readonly killAt?: number;
}

const job = JSON.parse(process.argv[2] as string) as ChildJob;
let step = 0;

function countStep(): void {
	step += 1;
	if (step === job.killAt) process.kill(process.pid, "SIGKILL");
}

/** The bundle reads functions of built-in modules at each call, so replacing them there is enough. */
function countCalls(target: object, names: readonly string[]): void {
	const functions = target as Record<string, (...args: unknown[]) => unknown>;
	for (const name of names) {
		const original = functions[name] as (...args: unknown[]) => unknown;
		functions[name] = (...args) => {
			countStep();
			const result = original.apply(target, args);
			if (name === "spawnSync") countStep();
			return result;
		};
	}
}

const load = createRequire(__filename);
const syscall: Syscall = createLinuxSyscall();
countCalls(load("node:child_process") as typeof childProcess, ["spawnSync"]);
countCalls(load("node:fs") as typeof fs, ["writeFileSync", "renameSync", "mkdirSync", "rmSync", "rmdirSync"]);
countCalls(syscall, ["unshare", "setns", "mount", "umount"]);

const context = { ...job, syscall, log: createLog("child", false), pluginTimeoutMs: 20_000 };
if (job.action === "tear-down") tearDownNetwork(context);
else {
	const result = setUpNetwork({ ...context, net: parseNetList([job.net]) });
	writeStdout(JSON.stringify({ ...result, steps: step }));
}
