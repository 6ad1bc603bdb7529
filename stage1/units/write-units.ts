import * as fs from "node:fs";
import * as path from "node:path";
import type { ActivationSocket } from "../sockets/assign-sockets.ts";
import { appUnitName } from "./app-unit.ts";
import { earlyLoadText, socketUnitName, socketUnitText } from "./socket-unit.ts";

export const UNIT_DIRECTORY = "etc/systemd/system";
/** Of the root slice, which is always there. */
const EARLY_LOAD = "-.slice.d/sockets.conf";

export interface AppUnitFiles {
	readonly app: string;
	/** Text of the service. */
	readonly service: string;
	readonly sockets: readonly ActivationSocket[];
}

/**
 * Writes the units of a pod below the root of stage1, before anything in it has run. Apps are wanted by
 * default.target, so they start with the pod.
 */
export function writeAppUnits(stage1Root: string, units: readonly AppUnitFiles[]): void {
	const directory = path.join(stage1Root, UNIT_DIRECTORY);
	const wants = path.join(directory, "default.target.wants");
	fs.mkdirSync(wants, { recursive: true });
	for (const { app, service } of units) {
		const name = appUnitName(app);
		fs.writeFileSync(path.join(directory, name), service, { mode: 0o644 });
		fs.symlinkSync(`../${name}`, path.join(wants, name));
	}
	writeSocketUnits(
		directory,
		units.filter(({ sockets }) => sockets.length > 0),
	);
}

function writeSocketUnits(directory: string, units: readonly AppUnitFiles[]): void {
	if (units.length === 0) return;
	for (const { app, sockets } of units) {
		fs.writeFileSync(path.join(directory, socketUnitName(app)), socketUnitText(app, sockets), {
			mode: 0o644,
		});
	}
	const earlyLoad = path.join(directory, EARLY_LOAD);
	fs.mkdirSync(path.dirname(earlyLoad), { recursive: true });
	fs.writeFileSync(earlyLoad, earlyLoadText(units.map(({ app }) => app)), { mode: 0o644 });
}
