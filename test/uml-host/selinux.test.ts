import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import t, { type Test } from "tap";
import { createBusyboxHost, outputLines } from "../support/busybox-host.ts";
import { onUmlHost } from "../support/on-uml-host.ts";
import { appAndEnter } from "./app-and-enter.ts";

const LABEL = "tr -d '\\0' </proc/self/attr/current; echo";
/** What test/uml-host/selinux.conf refuses to app_t. */
const CHOWN = "touch /tmp/x; chown 1 /tmp/x 2>/dev/null && echo changed || echo refused";
const SELINUX = "/sys/fs/selinux";

if (onUmlHost(t, ["security=selinux"], 200)) {
	t.setTimeout(200_000);
	t.test("SELinux", async (t) => {
		t.equal(spawnSync("mount", ["-t", "selinuxfs", "selinuxfs", SELINUX]).status, 0);
		const host = await createBusyboxHost("selinux");
		const app = (type: string, script: string): Record<string, unknown> => ({
			exec: ["/bin/sh", "-c", script],
			isolators: [
				{
					name: "os/linux/selinux-context",
					value: { user: "system_u", role: "system_r", type, level: "s0" },
				},
			],
		});
		await host.addImage("example.com/confined", {
			app: app("app_t", `${LABEL}; ${CHOWN}; echo up; sleep 600`),
		});
		await host.addImage("example.com/unknown", { app: app("no_t", "echo ran") });
		const refused = async (t: Test, image: string, message: string): Promise<void> => {
			const result = await host.rkt(["run", "--net=none", image]);
			t.equal(result.status, 254);
			t.match(result.stderr, `\nrun: ${message}\n`);
			t.equal(result.stdout, "");
		};
		await t.test("a context is refused while there is no policy, since it would mean nothing", (t) =>
			refused(t, "example.com/confined", "app confined asks for SELinux, which this kernel does not have"),
		);
		loadPolicy();
		await t.test("app and enter are confined by the context of the isolator", async (t) => {
			const { app, entered } = await appAndEnter(host, "example.com/confined", `${LABEL}; ${CHOWN}`);
			t.strictSame(app, ["system_u:system_r:app_t:s0", "refused"]);
			t.strictSame(entered, app);
		});
		await t.test("without an isolator a pod keeps the context of its caller", async (t) => {
			const result = await host.shell(`${LABEL}; ${CHOWN}`);
			t.strictSame(outputLines(result), ["system_u:system_r:host_t:s0", "changed"]);
		});
		await t.test("a context that the policy does not know", (t) =>
			refused(
				t,
				"example.com/unknown",
				"app unknown asks for the SELinux context system_u:system_r:no_t:s0, which the policy does not know",
			),
		);
	});
}

function loadPolicy(): void {
	const made = spawnSync(
		"checkpolicy",
		["-M", "-U", "allow", "-c", "33", "-o", "/tmp/policy", "test/uml-host/selinux.conf"],
		{
			encoding: "utf8",
		},
	);
	if (made.status !== 0) throw new Error(made.stderr);
	fs.writeFileSync(`${SELINUX}/load`, fs.readFileSync("/tmp/policy"));
	fs.writeFileSync(`${SELINUX}/enforce`, "1");
}
