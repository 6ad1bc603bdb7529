import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import t from "tap";
import { makeFixtures } from "../stage1/conformance/run-case.ts";
import { type Backend, testCases, testLife } from "../stage1/conformance/suite.ts";
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
		"an unknown system call is refused",
		"a widened default set with an error of its own",
	],
	"it gives all apps the default capabilities and sets no limits": [
		"retained capabilities",
		"removed capabilities",
		"no new privileges",
		"a memory limit",
		"resource limits of an app and its hooks",
		"a limit that the pod itself does not have",
		"parameters of the pod's namespaces, and nothing of the host's",
		"a parameter of the whole kernel is refused",
		"an AppArmor profile where the kernel has no such module",
		"an isolator without effect is named",
		"an oom score",
	],
	"it has no networks but none and the host's, and no journal": [
		"a network, a forwarded port, name servers and the journal",
	],
	"it knows no options of volumes but readOnly": ["a host volume whose set-user-ID programs count"],
	"it refuses links of the image instead of following them inside the image": [
		"a mount point behind links of the image stays in the image",
	],
	"it knows nothing of docker": [
		"an implicit volume of a docker image starts with what the image has there",
		"a docker image: user, environment, working directory, and output by name",
		"the stop signal of an image",
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
	"it gives an app all the time that it wants after SIGTERM": ["an app that ignores SIGTERM is killed"],
	"it knows nothing of stop signals of images": ["the stop signal of an image"],
	"it has no services whose name an app could take": ["the name of a service of stage1"],
};

enterPrivateHost();

const directory = fs.mkdtempSync("/var/tmp/rkt-test-shell-");
t.teardown(() => fs.rmSync(directory, { recursive: true, force: true }));

const image = path.join(directory, "stage1.aci");
const packed = spawnSync("tar", ["-C", "test/stage1-shell", "-cf", image, "manifest", "rootfs"]);
if (packed.status !== 0) throw new Error(String(packed.stderr));
const backend: Backend = {
	stage0: createMiniStage0(directory, image),
	fixtures: makeFixtures(directory),
	omitted: OMITTED,
	// The status of executables; the case has that of a module, whose failures stage0 shows.
	different: { "an unknown flag": { status: 2 } },
};
testCases(t, backend);
testLife(t, backend);
