import * as fs from "node:fs";
import * as path from "node:path";
import type { Test } from "tap";
import { distDirectory } from "../../support/dist-directory.ts";
import { attachLoopDevice } from "../../support/loop-device.ts";
import { createMiniStage0, openMiniUsers } from "../../support/mini-stage0.ts";
import { diskCases } from "./disk-cases.ts";
import { makeFixtures, runCase } from "./run-case.ts";

/** The disk cases of nspawn, of pods without and then of pods with users of their own. */
export function testDisks(t: Test): void {
	const directory = fs.mkdtempSync("/var/tmp/rkt-test-disks-");
	t.teardown(() => fs.rmSync(directory, { recursive: true, force: true }));
	t.test("disks as volumes", async (t) => {
		const image = process.env.STAGE1_IMAGE ?? path.join(distDirectory(), "stage1-nspawn.aci");
		const hosts = {
			"": createMiniStage0(path.join(directory, "plain"), image),
			", with users of the pod's own": createMiniStage0(
				path.join(directory, "users"),
				image,
				await openMiniUsers(1_000_013_824),
			),
		};
		const disks = [
			attachLoopDevice(t, path.join(directory, "first")),
			attachLoopDevice(t, path.join(directory, "second")),
		] as const;
		const cases = diskCases(makeFixtures(directory), disks);
		for (const [suffix, stage0] of Object.entries(hosts)) {
			for (const one of cases) t.test(`${one.name}${suffix}`, (t) => runCase(t, stage0, one));
		}
	});
}
