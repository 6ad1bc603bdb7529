import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import t from "tap";
import { type ConformanceCase, conformanceCases } from "../stage1/conformance/cases.ts";
import {
	checkEnterAndStop,
	checkForcedStop,
	checkKilledSupervisor,
	checkTermination,
} from "../stage1/conformance/life.ts";
import { makeFixtures, runCase } from "../stage1/conformance/run-case.ts";
import { checkEnterSignals } from "../stage1/conformance/signals.ts";
import { createMiniStage0 } from "../support/mini-stage0.ts";
import { enterPrivateHost } from "../support/private-host.ts";

/*
 * The suite of every backend with one of shell scripts, which nothing of this project's own stage1 is in: what is checked
 * is the interface. These are the cases that it cannot fulfil.
 */
const OMITTED: Readonly<Record<string, readonly string[]>> = {
	"no program of the shell installs a system call filter": [
		"hooks are confined as the app is",
		"the default capabilities and filter",
		"a removed system call answers the error that is named",
		"a retained set without a call",
		"an allow-list that ends up empty refuses everything",
		"an unknown set is refused",
	],
	"it gives all apps the default capabilities and sets no limits": [
		"retained capabilities",
		"removed capabilities",
		"no new privileges",
		"a memory limit",
		"an isolator without effect is named",
		"an oom score",
	],
	"it refuses links of the image instead of following them inside the image": [
		"a mount point behind links of the image stays in the image",
	],
	"it copies nothing into volumes": [
		"an implicit volume of a docker image starts with what the image has there",
	],
	"what cannot be started is seen when it is started, by a program of the shell": [
		"a missing working directory",
		"a program that is not there",
		"no program",
		"a user id too large",
		"a negative user id",
		"a script whose interpreter is missing",
		"capabilities both retained and removed",
	],
	"it has no services whose name an app could take": ["the name of a service of stage1"],
};

/** The status of executables; the case is that of a module, whose failures stage0 shows. */
const DIFFERENT: Readonly<Record<string, Partial<ConformanceCase>>> = { "an unknown flag": { status: 2 } };

enterPrivateHost();

const directory = fs.mkdtempSync("/var/tmp/rkt-test-shell-");
t.teardown(() => fs.rmSync(directory, { recursive: true, force: true }));

const image = path.join(directory, "stage1.aci");
const packed = spawnSync("tar", ["-C", "test/stage1-shell", "-cf", image, "manifest", "rootfs"]);
if (packed.status !== 0) throw new Error(String(packed.stderr));
const stage0 = createMiniStage0(directory, image);
const fixtures = makeFixtures(directory);
const all = conformanceCases(fixtures);
const omitted = Object.values(OMITTED).flat();

t.test("what is left out is a case", async (t) => {
	t.strictSame(
		omitted.filter((name) => !all.some((one) => one.name === name)),
		[],
	);
});

for (const one of all.filter(({ name }) => !omitted.includes(name))) {
	t.test(one.name, (t) => runCase(t, stage0, { ...one, ...DIFFERENT[one.name] }));
}

t.test("commands run in the app while it runs, and stop ends it in order", (t) =>
	checkEnterAndStop(t, stage0, fixtures),
);

t.test("SIGTERM ends a pod in order", (t) => checkTermination(t, stage0, fixtures));

t.test("stop with force", (t) => checkForcedStop(t, stage0, fixtures));

t.test("a supervisor that is killed takes the pod along", (t) => checkKilledSupervisor(t, stage0, fixtures));

t.test("signals reach a command", (t) => checkEnterSignals(t, stage0, fixtures));
