import * as fs from "node:fs";
import * as path from "node:path";
import t from "tap";
import { diskCases } from "../stage1/conformance/disk-cases.ts";
import { makeFixtures, runCase } from "../stage1/conformance/run-case.ts";
import { distDirectory } from "../support/dist-directory.ts";
import { attachLoopDevice } from "../support/loop-device.ts";
import { createMiniStage0 } from "../support/mini-stage0.ts";
import { enterPrivateHost } from "../support/private-host.ts";

enterPrivateHost();

const directory = fs.mkdtempSync("/var/tmp/rkt-test-disks-");
t.teardown(() => fs.rmSync(directory, { recursive: true, force: true }));

const stage0 = createMiniStage0(
	directory,
	process.env.STAGE1_IMAGE ?? path.join(distDirectory(), "stage1-nspawn.aci"),
);
const disks = [
	attachLoopDevice(t, path.join(directory, "first")),
	attachLoopDevice(t, path.join(directory, "second")),
] as const;
const SHIFT = 1_000_000_000;
for (const one of diskCases(makeFixtures(directory), disks)) {
	t.test(one.name, (t) => runCase(t, stage0, one));
	t.test(`${one.name}, with users of the pod's own`, (t) =>
		runCase(t, stage0, { ...one, prepare: { shift: SHIFT }, args: [`--private-users=${SHIFT}:65536`] }),
	);
}
