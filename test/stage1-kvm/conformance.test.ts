import * as fs from "node:fs";
import * as path from "node:path";
import t from "tap";
import type { ConformanceCase } from "../stage1/conformance/cases.ts";
import { diskCases } from "../stage1/conformance/disk-cases.ts";
import { makeFixtures } from "../stage1/conformance/run-case.ts";
import { type Backend, testCases } from "../stage1/conformance/suite.ts";
import { distDirectory } from "../support/dist-directory.ts";
import { lkvmObstacle } from "../support/lkvm-obstacle.ts";
import { attachLoopDevice } from "../support/loop-device.ts";
import { createMiniStage0 } from "../support/mini-stage0.ts";
import { enterPrivateHost } from "../support/private-host.ts";

/*
 * The same cases as for nspawn. Those in which a machine differs are in the table of docs/stage1.md; what is refused
 * is checked to be refused. Emulation takes 5 s a case, so QEMU gets a selection. lkvm cannot emulate.
 */
const REFUSED: Readonly<Record<string, Partial<ConformanceCase>>> = {
	"a device as a volume": {
		status: 254,
		lines: [],
		stderr: /a character device as a volume is not possible in a virtual machine/,
	},
};
const IN_QEMU = [
	"an app that ends well",
	"a failing app ends the others, and its status is the pod's",
	"hooks run before and after the app",
	"interactive with a pipe",
	"hostile environment values arrive as they are",
	"a read-only host volume, with what is below it",
	"an empty volume shared by two apps",
	"the default capabilities and filter",
	"a disk with a hostile path is written and read",
	"what was written is on the disk, and a read-only one is not changed",
	"each of two apps has its own disk and none of the other's",
];

enterPrivateHost();

const directory = fs.mkdtempSync("/var/tmp/rkt-test-kvm-");
t.teardown(() => fs.rmSync(directory, { recursive: true, force: true }));

testFlavor("kvm-uml", {});
testFlavor("kvm", { only: IN_QEMU });
testFlavor("kvm-lkvm", {}, lkvmObstacle());

function testFlavor(
	flavor: string,
	choice: Pick<Backend, "omitted" | "only">,
	skip: string | false = false,
): void {
	t.test(flavor, { skip }, async (t) => {
		const place = path.join(directory, flavor);
		fs.mkdirSync(place);
		const stage0 = createMiniStage0(place, path.join(distDirectory(), `stage1-${flavor}.aci`));
		const fixtures = makeFixtures(place);
		const disks = diskCases(fixtures, [
			attachLoopDevice(t, path.join(place, "first")),
			attachLoopDevice(t, path.join(place, "second")),
		]);
		testCases(t, { stage0, fixtures, different: REFUSED, ...choice }, disks);
	});
}
