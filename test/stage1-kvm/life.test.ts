import * as fs from "node:fs";
import * as path from "node:path";
import t from "tap";
import { shellApp } from "../stage1/conformance/cases.ts";
import {
	checkEnterAndStop,
	checkForcedStop,
	checkKilledSupervisor,
	checkTermination,
} from "../stage1/conformance/life.ts";
import { makeFixtures } from "../stage1/conformance/run-case.ts";
import { checkEnterSignals, checkStubbornApp } from "../stage1/conformance/signals.ts";
import { distDirectory } from "../support/dist-directory.ts";
import { createMiniStage0 } from "../support/mini-stage0.ts";
import { enterPrivateHost } from "../support/private-host.ts";

enterPrivateHost();

const directory = fs.mkdtempSync("/var/tmp/rkt-test-kvm-life-");
t.teardown(() => fs.rmSync(directory, { recursive: true, force: true }));
const fixtures = makeFixtures(directory);

for (const flavor of ["kvm-uml", "kvm"]) {
	const place = path.join(directory, flavor);
	fs.mkdirSync(place);
	const stage0 = createMiniStage0(place, path.join(distDirectory(), `stage1-${flavor}.aci`));

	t.test(`${flavor}: commands run in the app while it runs, and stop ends it in order`, (t) =>
		checkEnterAndStop(t, stage0, fixtures),
	);

	// Of the monitor, which is the same; the emulated machine is slow.
	if (flavor === "kvm-uml")
		t.test(`${flavor}: SIGTERM ends a pod in order`, (t) => checkTermination(t, stage0, fixtures));

	t.test(`${flavor}: a monitor that is killed takes its machine along`, (t) =>
		checkKilledSupervisor(t, stage0, fixtures),
	);

	t.test(`${flavor}: signals reach a command`, (t) => checkEnterSignals(t, stage0, fixtures));

	t.test(`${flavor}: an app that ignores SIGTERM`, (t) => checkStubbornApp(t, stage0, fixtures));

	t.test(`${flavor}: stop with force`, (t) => checkForcedStop(t, stage0, fixtures));
}

t.test("a machine that ends without a status is no success", async (t) => {
	const place = path.join(directory, "broken");
	fs.mkdirSync(place);
	const stage0 = createMiniStage0(place, path.join(distDirectory(), "stage1-kvm-uml.aci"));
	fs.rmSync(path.join(stage0.stage1, "usr/lib/systemd/systemd"));
	const pod = stage0.prepare([shellApp(fixtures, "true")]);
	const result = await stage0.run(pod);
	t.equal(result.status, 254, "the monitor says so", result);
	t.match(result.stderr, /ended before the pod had a status/);
	t.match(result.stdout, /systemd: No such file or directory/);
	stage0.remove(pod);
});
