import * as fs from "node:fs";
import * as path from "node:path";
import t from "tap";
import { shellApp } from "../stage1/conformance/cases.ts";
import { makeFixtures } from "../stage1/conformance/run-case.ts";
import { testLife } from "../stage1/conformance/suite.ts";
import { distDirectory } from "../support/dist-directory.ts";
import { createMiniStage0 } from "../support/mini-stage0.ts";
import { enterPrivateHost } from "../support/private-host.ts";

enterPrivateHost();

const directory = fs.mkdtempSync("/var/tmp/rkt-test-kvm-life-");
t.teardown(() => fs.rmSync(directory, { recursive: true, force: true }));
const fixtures = makeFixtures(directory);

/** The emulated machine is slow. */
const THE_SAME = {
	"it is the same monitor": ["SIGTERM ends a pod in order"],
	"it is the same systemd": ["an app that ignores SIGTERM is killed", "the stop signal of an image"],
};

for (const flavor of ["kvm-uml", "kvm"]) {
	const place = path.join(directory, flavor);
	fs.mkdirSync(place);
	const stage0 = createMiniStage0(place, path.join(distDirectory(), `stage1-${flavor}.aci`));

	const omitted = flavor === "kvm" ? THE_SAME : {};
	t.test(flavor, async (t) => testLife(t, { stage0, fixtures, omitted }));
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
