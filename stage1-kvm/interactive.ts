import * as fs from "node:fs";
import * as path from "node:path";
import * as podPaths from "../stage1/pod-paths.ts";
import type { RunContext } from "../stage1/run/run-context.ts";
import { appUnitName } from "../stage1/units/app-unit.ts";
import { renderUnit, type UnitSections } from "../stage1/units/unit-text.ts";
import { AGENT_SERVICE } from "./guest-paths.ts";

const DROP_IN = "/etc/systemd/system/UNIT.d/interactive.conf";
/** What terminfo knows, which means nothing to a unit. */
const TERMINAL_NAME = /^[A-Za-z0-9][A-Za-z0-9+._-]{0,63}$/;

/**
 * Tells the pod that the streams of its app are the caller's: the agent carries them, so the app starts after it and ends
 * before it, and the agent ends only when the host has taken the last byte. Does nothing for a pod that is not interactive.
 */
export function joinStreams({ pod, streams, environment }: RunContext): void {
	if (streams === "journal") return;
	const write = (unit: string, sections: UnitSections): void => {
		const file = podPaths.inStage1(pod.directory, DROP_IN.replace("UNIT", unit));
		fs.mkdirSync(path.dirname(file), { recursive: true });
		fs.writeFileSync(file, renderUnit(sections), { mode: 0o644 });
	};
	write(AGENT_SERVICE, [
		[
			"Unit",
			[
				["Conflicts", "shutdown.target"],
				["Before", "shutdown.target"],
			],
		],
		[
			"Service",
			[
				["Type", "notify"],
				["Environment", `RKT_STREAMS=${streams === "terminal" ? "terminal" : "pipes"}`],
				// A caller who does not read holds the app up, as with a descriptor of its own.
				["TimeoutSec", "infinity"],
			],
		],
	]);
	const name = TERMINAL_NAME.test(environment.TERM ?? "") ? environment.TERM : "vt100";
	for (const app of pod.apps) {
		write(appUnitName(app.name), [
			["Unit", [["After", AGENT_SERVICE]]],
			["Service", streams === "terminal" ? [["Environment", `TERM=${name}`]] : []],
		]);
	}
}
