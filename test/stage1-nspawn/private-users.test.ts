import * as fs from "node:fs";
import * as path from "node:path";
import t from "tap";
import type { ConformanceCase } from "../stage1/conformance/cases.ts";
import { makeFixtures } from "../stage1/conformance/run-case.ts";
import { testCases, testLife } from "../stage1/conformance/suite.ts";
import { distDirectory } from "../support/dist-directory.ts";
import { createMiniStage0, openMiniUsers } from "../support/mini-stage0.ts";
import { enterPrivateHost } from "../support/private-host.ts";

/* The same cases as without --private-users, but for what these say instead. */

/**
 * The pod's network namespace belongs to the host's users, for plugins work in it, and there no capability of the pod
 * counts: nspawn takes NET_BIND_SERVICE away, and low ports are free to everybody in the pod instead.
 */
const CAPABILITIES = "00000000a80421fb";
const DIFFERENT: Readonly<Record<string, Partial<ConformanceCase>>> = {
	"hooks are confined as the app is": {
		lines: [/^uid=1000 gid=100/, `CapBnd:\t${CAPABILITIES}`, "Seccomp:\t2"],
	},
	"the default capabilities and filter": {
		lines: [..."Prm Eff Bnd".split(" ").map((set) => `Cap${set}:\t${CAPABILITIES}`), "Seccomp:\t2"],
	},
	"removed capabilities": { lines: ["CapEff:\t00000000a80421fa"] },
};

const THE_SAME = {
	"it is the same systemd, which users make no difference to": [
		"SIGTERM ends a pod in order",
		"an app that ignores SIGTERM is killed",
		"the stop signal of an image",
	],
};

enterPrivateHost();

const directory = fs.mkdtempSync("/var/tmp/rkt-test-users-");
t.teardown(() => fs.rmSync(directory, { recursive: true, force: true }));

t.test("a pod with users of its own", async (t) => {
	const image = process.env.STAGE1_IMAGE ?? path.join(distDirectory(), "stage1-nspawn.aci");
	const stage0 = createMiniStage0(directory, image, await openMiniUsers(1_000_013_824));
	const backend = { stage0, fixtures: makeFixtures(directory), different: DIFFERENT, omitted: THE_SAME };
	testCases(t, backend);
	testLife(t, backend);
});
