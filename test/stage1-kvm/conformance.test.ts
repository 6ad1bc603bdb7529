import * as fs from "node:fs";
import * as path from "node:path";
import t from "tap";
import { conformanceCases } from "../stage1/conformance/cases.ts";
import { makeFixtures, runCase } from "../stage1/conformance/run-case.ts";
import { distDirectory } from "../support/dist-directory.ts";
import { createMiniStage0 } from "../support/mini-stage0.ts";
import { enterPrivateHost } from "../support/private-host.ts";

enterPrivateHost();

const directory = fs.mkdtempSync("/var/tmp/rkt-test-kvm-");
t.teardown(() => fs.rmSync(directory, { recursive: true, force: true }));

for (const flavor of (process.env.FLAVORS ?? "kvm-uml").split(",")) {
	t.test(flavor, (t) => {
		const place = path.join(directory, flavor);
		fs.mkdirSync(place);
		const stage0 = createMiniStage0(place, path.join(distDirectory(), `stage1-${flavor}.aci`));
		for (const one of conformanceCases(makeFixtures(place)))
			if (!process.env.ONLY || one.name.includes(process.env.ONLY))
				t.test(one.name, (t) => runCase(t, stage0, one));
		t.end();
	});
}
