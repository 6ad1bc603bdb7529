import * as fs from "node:fs";
import * as path from "node:path";
import t from "tap";
import { conformanceCases } from "../stage1/conformance/cases.ts";
import { makeFixtures, runCase } from "../stage1/conformance/run-case.ts";
import { distDirectory } from "../support/dist-directory.ts";
import { createMiniStage0 } from "../support/mini-stage0.ts";
import { enterPrivateHost } from "../support/private-host.ts";

enterPrivateHost();

const directory = fs.mkdtempSync("/var/tmp/rkt-test-nspawn-");
t.teardown(() => fs.rmSync(directory, { recursive: true, force: true }));

const stage0 = createMiniStage0(
	directory,
	process.env.STAGE1_IMAGE ?? path.join(distDirectory(), "stage1-nspawn.aci"),
);
for (const one of conformanceCases(makeFixtures(directory))) {
	t.test(one.name, (t) => runCase(t, stage0, one));
}
