import * as fs from "node:fs";
import * as path from "node:path";
import type { Test } from "tap";
import { distDirectory } from "../../support/dist-directory.ts";
import { createMiniStage0, type MiniUsers, openMiniUsers } from "../../support/mini-stage0.ts";
import { makeFixtures } from "../conformance/run-case.ts";
import { checkFindings } from "./check-findings.ts";
import { runProbe } from "./run-probe.ts";

/** What docs/security.md says an app, its hooks and `enter` are kept from, with and without users of their own. */
export function probeNspawn(t: Test): void {
	const directory = fs.mkdtempSync("/var/tmp/rkt-test-probe-");
	t.teardown(() => fs.rmSync(directory, { recursive: true, force: true }));
	const probe = async (name: string, users?: MiniUsers) => {
		const place = path.join(directory, name);
		fs.mkdirSync(place);
		const stage0 = createMiniStage0(place, path.join(distDirectory(), "stage1-nspawn.aci"), users);
		return runProbe(stage0, makeFixtures(place), false);
	};
	t.test("a pod", async (t) => checkFindings(t, "nspawn", await probe("plain")));
	t.test("a pod with users of its own", async (t) => {
		checkFindings(t, "nspawn with users", await probe("users", await openMiniUsers(1_100_013_568)));
	});
}
