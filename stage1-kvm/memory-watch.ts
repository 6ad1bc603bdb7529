import * as fs from "node:fs";
import * as path from "node:path";
import * as podPaths from "../stage1/pod-paths.ts";
import type { PreparedPod } from "../stage1/run/prepare-pod.ts";
import { renderUnit } from "../stage1/units/unit-text.ts";

/** Runs guest/memory-watch.c; names with an underscore cannot be those of an app. */
const SERVICE = "rkt_memory.service";
const UNITS = "/etc/systemd/system";

/** Has the guest end apps that only fight for the last of their memory; does nothing for a pod without limits. */
export function watchMemory(pod: string, { apps }: Pick<PreparedPod, "apps">): void {
	const limited = apps
		.filter(({ unit }) => unit.limits.memoryLimit !== undefined)
		.map(({ unit }) => unit.app);
	if (limited.length === 0) return;
	const text = renderUnit([
		["Unit", [["DefaultDependencies", "no"]]],
		[
			"Service",
			[
				["ExecStart", `/rkt/vm/memory-watch ${limited.join(" ")}`],
				["StandardInput", "null"],
				["StandardOutput", "null"],
				["StandardError", "journal"],
			],
		],
	]);
	const units = podPaths.inStage1(pod, UNITS);
	const wanted = path.join(units, "default.target.wants");
	fs.mkdirSync(wanted, { recursive: true });
	fs.writeFileSync(path.join(units, SERVICE), text, { mode: 0o644 });
	fs.symlinkSync(`../${SERVICE}`, path.join(wanted, SERVICE));
}
