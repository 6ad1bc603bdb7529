import * as fs from "node:fs";
import * as path from "node:path";
import { appUnitName } from "./app-unit.ts";
import { type ActivationSocket, socketUnitName, socketUnitText } from "./socket-unit.ts";

const UNIT_DIRECTORY = "etc/systemd/system";

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
	for (const { app, service, sockets } of units) {
		const name = appUnitName(app);
		fs.writeFileSync(path.join(directory, name), service, { mode: 0o644 });
		fs.symlinkSync(`../${name}`, path.join(wants, name));
		if (sockets.length === 0) continue;
		fs.writeFileSync(path.join(directory, socketUnitName(app)), socketUnitText(app, sockets), {
			mode: 0o644,
		});
	}
}
