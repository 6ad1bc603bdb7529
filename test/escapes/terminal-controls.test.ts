import * as path from "node:path";
import t from "tap";
import { busyboxFiles, imageManifest, makeAci } from "../support/make-aci.ts";
import { enterPrivateHost } from "../support/private-host.ts";
import { createTestHost } from "../support/test-host.ts";

/*
 * Words of an image that a terminal obeys: it could rename windows, hide lines and show others to the administrator who
 * looks at the image.
 */

enterPrivateHost();

const EVIL = "\u001b]0;taken\u0007\u001b[2J\nname: example.com/good\u009b31m\u007f\u202egnp";
/** Control characters but for newline and tab, and those that change the direction of a line. */
const OBEYED = /(?![\n\t])\p{Cc}|[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/u;

t.test("nothing that rkt says of an image or a prepared pod makes the terminal do something", async (t) => {
	const host = createTestHost("terminal");
	t.teardown(() => host.remove());
	const names = ["imageid", "manifesthash", "registryurl", "repository", "tag"].map(
		(name) => `appc.io/docker/${name}`,
	);
	const annotations = ["authors", ...names].map((name) => ({ name, value: EVIL }));
	const app = {
		...{ exec: ["/bin/true", EVIL], userAnnotations: { evil: EVIL }, userLabels: { [EVIL]: EVIL } },
		environment: [{ name: "EVIL", value: EVIL }],
	};
	const file = path.join(host.directory, "evil.aci");
	const manifest = { ...imageManifest("example.com/evil", { labels: { evil: EVIL }, app }), annotations };
	await makeAci(file, { manifest, files: busyboxFiles() });
	const fetched = await host.rkt(["--insecure-options=image", "fetch", file]);
	t.equal(fetched.status, 0, fetched.stderr);
	const uuid = (await host.rkt(["prepare", "--quiet", "example.com/evil"])).stdout.trim();
	const formats = ["", "--format=json", "--format=json-pretty"].map((format) =>
		format === "" ? [] : [format],
	);
	const commands = [
		...formats.flatMap((format) => [
			["image", "list", ...format],
			["image", "inspect", ...format, "example.com/evil"],
			["list", "--full", ...format],
			["status", ...format, uuid],
		]),
		["image", "cat-manifest", "example.com/evil"],
		["image", "cat-manifest", "--pretty-print=false", "example.com/evil"],
		["cat-manifest", uuid],
		["generate", "unit", "example.com/evil"],
		["policy", "explain", "example.com/evil"],
	];
	for (const command of commands) {
		const { status, stdout, stderr } = await host.rkt(command);
		t.notMatch(stdout + stderr, OBEYED, command.join(" "));
		t.notMatch(stdout, /^name: example.com\/good/m, command.join(" "));
		t.equal(status, 0, { command, stderr });
	}
	const text = (await host.rkt(["image", "cat-manifest", "example.com/evil"])).stdout;
	t.match(JSON.parse(text), { app: { exec: ["/bin/true", EVIL] } }, "and the meaning is the same");
});
