import * as fs from "node:fs";
import * as path from "node:path";
import * as z from "zod/mini";
import type { MiniStage0 } from "../../support/mini-stage0.ts";
import { waitFor } from "../../support/wait-for.ts";
import { type Fixtures, shellApp } from "../conformance/cases.ts";

/** What the probe says about one check. */
const Finding = z.object({ check: z.string(), closed: z.boolean(), seen: z.string() });
const Findings = z.array(Finding);
export type Finding = z.infer<typeof Finding>;

/** Where a process of an app may come from. */
export type Origin = "app" | "hook" | "enter";

/**
 * Runs stage1's probe of the isolation in an app, in its pre-start hook and by `enter`, all in one pod. `ownKernel` says
 * that the pod is a virtual machine.
 */
export async function runProbe(
	stage0: MiniStage0,
	fixtures: Fixtures,
	ownKernel: boolean,
): Promise<Record<Origin, Finding[]>> {
	const out = path.join(fixtures.volume, "..", "probe-output");
	fs.mkdirSync(out, { mode: 0o777 });
	fs.chmodSync(out, 0o777);
	fs.copyFileSync(path.join(stage0.stage1, "rkt/probe"), path.join(fixtures.busybox, "bin/probe"));
	const probe = `probe --format=json${ownKernel ? " --own-kernel" : ""}`;
	const mounts = { runtime: { mounts: [{ volume: "out", path: "/out" }] } };
	const hook = { name: "pre-start", exec: ["/bin/sh", "-c", `${probe} >/out/hook; true`] };
	const script = `${probe} >/out/new; mv /out/new /out/app; exec sleep 100`;
	const app = shellApp(fixtures, script, { ...mounts, eventHandlers: [hook] });
	const pod = stage0.prepare([app], { volumes: [{ name: "out", kind: "host", source: out }] });
	const child = stage0.start(pod);
	let printed = "";
	for (const stream of [child.stdout, child.stderr]) {
		stream?.on("data", (chunk) => {
			printed += chunk;
		});
	}
	try {
		await waitFor("the probe in the app", () => {
			if (child.exitCode !== null) throw new Error(`the pod has ended: ${printed}`);
			return fs.existsSync(path.join(out, "app"));
		});
		await stage0.containerPid(pod);
		const entered = stage0.probe(pod, "app");
		const read = (name: string): Finding[] =>
			Findings.parse(JSON.parse(fs.readFileSync(path.join(out, name), "utf8")));
		return { app: read("app"), hook: read("hook"), enter: Findings.parse(JSON.parse(entered.stdout)) };
	} finally {
		child.kill("SIGTERM");
		if (child.exitCode === null) await new Promise((resolve) => child.on("close", resolve));
		stage0.remove(pod);
		fs.rmSync(out, { recursive: true });
	}
}
