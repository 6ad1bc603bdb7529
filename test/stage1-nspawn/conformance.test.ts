import * as fs from "node:fs";
import * as path from "node:path";
import t from "tap";
import { makeFixtures } from "../stage1/conformance/run-case.ts";
import { testCases, testLife } from "../stage1/conformance/suite.ts";
import { distDirectory } from "../support/dist-directory.ts";
import { createMiniStage0 } from "../support/mini-stage0.ts";
import { enterPrivateHost } from "../support/private-host.ts";

enterPrivateHost();

const directory = fs.mkdtempSync("/var/tmp/rkt-test-nspawn-");
t.teardown(() => fs.rmSync(directory, { recursive: true, force: true }));

const image = process.env.STAGE1_IMAGE ?? path.join(distDirectory(), "stage1-nspawn.aci");
const backend = { stage0: createMiniStage0(directory, image), fixtures: makeFixtures(directory) };
testCases(t, backend);
testLife(t, backend);
