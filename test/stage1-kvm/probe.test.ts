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

for (const flavor of ["kvm-uml", "kvm"]) {
	t.test(`what docs/security.md says an app, its hooks and enter are kept from: ${flavor}`, async (t) => {
		const place = path.join(directory, flavor);
		fs.mkdirSync(place);
		const stage0 = createMiniStage0(place, path.join(distDirectory(), `stage1-${flavor}.aci`));
		checkFindings(t, "kvm", await runProbe(stage0, makeFixtures(place), true));
	});
}
