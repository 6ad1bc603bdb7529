import * as fs from "node:fs";
import * as path from "node:path";
import type { Test } from "tap";
import { type Fixtures, shellApp } from "../stage1/conformance/cases.ts";
import { appLines, makeFixtures } from "../stage1/conformance/run-case.ts";
import { distDirectory } from "../support/dist-directory.ts";
import {
	createMiniStage0,
	type MiniApp,
	type MiniPod,
	type MiniStage0,
	type MiniUsers,
	type StartOptions,
} from "../support/mini-stage0.ts";
import { waitFor } from "../support/wait-for.ts";

/*
 * For the tests of this folder: each tries one way out of a pod, or into what the host runs, that worked somewhere once.
 */

/** What an app needs that was given everything an administrator can give. */
export const ALMIGHTY = ["--disable-capabilities-restriction", "--disable-seccomp", "--disable-paths"];

export interface RunningPod {
	readonly pod: MiniPod;
	/** What apps have printed until now. */
	lines(): string[];
	/** Waits until an app has printed a line. */
	sees(line: string): Promise<void>;
	/** Ends the pod and gives its exit status. */
	stop(): Promise<number | null>;
}

export interface EscapeHost {
	readonly directory: string;
	readonly stage0: MiniStage0;
	readonly fixtures: Fixtures;
	shell(script: string, more?: Record<string, unknown>, name?: string): MiniApp;
	/** Starts a pod that is stopped and removed with the test. */
	start(
		apps: readonly MiniApp[],
		options?: { manifest?: Record<string, unknown>; args?: readonly string[]; start?: StartOptions },
	): RunningPod;
}

/** A stage0 with a directory of its own, which is gone after the test. */
export function createEscapeHost(
	t: Test,
	options: { readonly flavor?: string; readonly users?: MiniUsers } = {},
): EscapeHost {
	const directory = fs.mkdtempSync("/var/tmp/rkt-test-escape-");
	t.teardown(() => fs.rmSync(directory, { recursive: true, force: true }));
	const image = path.join(distDirectory(), `stage1-${options.flavor ?? "nspawn"}.aci`);
	const stage0 = createMiniStage0(directory, image, options.users);
	const fixtures = makeFixtures(directory);
	return {
		...{ directory, stage0, fixtures },
		shell: (script, more, name) => shellApp(fixtures, script, more, name),
		start: (apps, { manifest, args, start } = {}) =>
			startPod(t, stage0, stage0.prepare(apps, manifest), args, start),
	};
}

function startPod(
	t: Test,
	stage0: MiniStage0,
	pod: MiniPod,
	args: readonly string[] | undefined,
	start: StartOptions | undefined,
): RunningPod {
	const child = stage0.start(pod, args, start);
	let output = "";
	for (const stream of [child.stdout, child.stderr]) {
		stream?.on("data", (chunk) => {
			output += chunk;
		});
	}
	const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
	const stop = (): Promise<number | null> => {
		child.kill("SIGTERM");
		return ended;
	};
	t.teardown(async () => {
		await stop();
		stage0.remove(pod);
	});
	const lines = (): string[] => appLines(output);
	return {
		...{ pod, lines, stop },
		sees: (line) =>
			waitFor(`the line ${line}`, () => {
				if (child.exitCode !== null && !lines().includes(line))
					throw new Error(`the pod has ended: ${output}`);
				return lines().includes(line);
			}),
	};
}
