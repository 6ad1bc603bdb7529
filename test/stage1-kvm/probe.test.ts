import * as fs from "node:fs";
import * as path from "node:path";
import t from "tap";
import { makeFixtures } from "../stage1/conformance/run-case.ts";
import { checkFindings } from "../stage1/isolation/check-findings.ts";
import { runProbe } from "../stage1/isolation/run-probe.ts";
import { distDirectory } from "../support/dist-directory.ts";
import { createMiniStage0 } from "../support/mini-stage0.ts";
import { enterPrivateHost } from "../support/private-host.ts";

enterPrivateHost();

const directory = fs.mkdtempSync("/var/tmp/rkt-test-probe-");
t.teardown(() => fs.rmSync(directory, { recursive: true, force: true }));

t.test("what docs/security.md says an app, its hooks and enter are kept from", async (t) => {
	const stage0 = createMiniStage0(directory, path.join(distDirectory(), "stage1-kvm-uml.aci"));
	checkFindings(t, "kvm-uml", await runProbe(stage0, makeFixtures(directory), true));
});
