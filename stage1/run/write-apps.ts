import * as fs from "node:fs";
import { environmentText } from "../apps/app-environment.ts";
import { encodeAppSpec } from "../apps/app-spec.ts";
import type { PreparedApp } from "../apps/prepare-app.ts";
import * as podPaths from "../pod-paths.ts";
import { appUnitText } from "../units/app-unit.ts";
import { writeAppUnits } from "../units/write-units.ts";
import type { RunContext } from "./run-context.ts";
import { specPath } from "./spec-path.ts";

/**
 * Writes everything about the apps that systemd and `launch` read inside the pod; and a copy of the specifications that
 * no pod can write, for `enter`.
 */
export function writeApps({ pod, shift }: RunContext, apps: readonly PreparedApp[]): void {
	const inStage1 = (guestPath: string): string => podPaths.inStage1(pod.directory, guestPath);
	for (const directory of ["/rkt/status", "/rkt/reason", "/rkt/env", "/rkt/spec", "/rkt"]) {
		fs.mkdirSync(inStage1(directory), { recursive: true });
		fs.chownSync(inStage1(directory), shift, shift);
	}
	fs.mkdirSync(specPath(pod.directory, "."), { recursive: true, mode: 0o700 });
	for (const { spec } of apps) {
		const encoded = encodeAppSpec(spec);
		writePrivate(inStage1(`/rkt/spec/${spec.app}`), encoded, shift);
		writePrivate(inStage1(podPaths.guestEnvPath(spec.app)), environmentText(spec.environment), shift);
		writePrivate(specPath(pod.directory, spec.app), encoded, 0);
	}
	const units = apps.map(({ unit, sockets }) => ({ app: unit.app, service: appUnitText(unit), sockets }));
	writeAppUnits(podPaths.stage1Rootfs(pod.directory), units);
}

/** An environment may hold secrets. */
function writePrivate(file: string, data: string | Buffer, owner: number): void {
	fs.writeFileSync(file, data, { mode: 0o600 });
	if (owner !== 0) fs.chownSync(file, owner, owner);
}
