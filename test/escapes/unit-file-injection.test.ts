import * as fs from "node:fs";
import * as path from "node:path";
import t from "tap";
import { UNIT_DIRECTORY } from "../../stage1/units/write-units.ts";
import { HOSTILE_VALUES } from "../stage1/conformance/cases.ts";
import { enterPrivateHost } from "../support/private-host.ts";
import { createEscapeHost } from "./escape-host.ts";

/* CVE-2022-0811, CVE-2024-3154: a value of an image or a pod becomes a setting of a unit, or a program that root runs. */

enterPrivateHost();

const EVIL = "x\nExecStartPre=/bin/sh -c 'touch /tmp/taken'\n[Service]\nUser=root\nCapabilityBoundingSet=~";

t.test("no value of a manifest becomes a setting of a unit", async (t) => {
	const host = createEscapeHost(t);
	const values = [EVIL, ...HOSTILE_VALUES];
	const annotations = values.map((value, index) => ({ name: `evil-${index}`, value }));
	const environment = values.map((value, index) => ({ name: `V${index}`, value }));
	const more = {
		...{ environment, user: "1000", group: "1000", workingDirectory: "/home" },
		eventHandlers: [{ name: "pre-start", exec: ["/bin/echo", EVIL] }],
		userAnnotations: { evil: EVIL },
		userLabels: { evil: EVIL },
	};
	const app = host.shell("", {
		...more,
		exec: ["/bin/sh", "-c", "id -u; ls /tmp; echo end", EVIL, ...values],
	});
	const pod = host.stage0.prepare([{ ...app, annotations }], {
		annotations,
		userAnnotations: { evil: EVIL },
		userLabels: { evil: EVIL },
	});
	const result = await host.stage0.run(pod);
	t.equal(result.status, 0, { stderr: result.stderr });
	t.match(result.stdout, /1000\n.*end\n$/s);
	t.notMatch(result.stdout, /^\S*taken$/m);
	const units = path.join(pod.directory, "overlay/tree/upper", UNIT_DIRECTORY);
	const text = fs.readFileSync(path.join(units, "app.service"), "utf8");
	t.notMatch(text, /touch|evil|User=|CapabilityBoundingSet|sh -c/);
	t.equal(text.match(/^\[Service\]$/gm)?.length, 1);
	t.strictSame(text.match(/^Exec.*$/gm), [
		"ExecStartPre=/rkt/launch app pre-start",
		"ExecStart=/rkt/launch app",
		"ExecStopPost=/rkt/app-status app app",
	]);
	host.stage0.remove(pod);
});

t.test("a name that is no name of an app is refused before anything is written", async (t) => {
	const host = createEscapeHost(t);
	for (const name of ["a\nExecStart=x", "../x", "a b", "a%n", "rkt_pod", "systemd-journald"]) {
		const manifest = { ...host.shell("true"), name: "app" };
		const pod = host.stage0.prepare([manifest]);
		const file = path.join(pod.directory, "pod");
		const text = JSON.parse(fs.readFileSync(file, "utf8"));
		text.apps[0].name = name;
		fs.writeFileSync(file, JSON.stringify(text));
		const result = await host.stage0.run(pod);
		t.equal(result.status, 254, JSON.stringify(name));
		t.notOk(fs.existsSync(path.join(pod.directory, "overlay/tree/upper", UNIT_DIRECTORY)), "no unit");
		host.stage0.remove(pod);
	}
});
