import { spawnSync } from "node:child_process";
import t from "tap";
import { createBusyboxHost, outputLines } from "../support/busybox-host.ts";
import { onUmlHost } from "../support/on-uml-host.ts";
import { appAndEnter } from "./app-and-enter.ts";

/** Everything but one file, and by name: whatever else keeps an app from the file is not asked for. */
const PROFILE = `
profile rkt-test flags=(attach_disconnected, mediate_deleted) {
	file, network, capability, signal, unix, dbus, ptrace,
	deny /etc/group r,
}
`;
const LABEL = "cat /proc/self/attr/apparmor/current";
const READ = "cat /etc/group >/dev/null 2>&1 && echo readable || echo denied";

if (onUmlHost(t, ["security=apparmor"], 170)) {
	t.setTimeout(170_000);
	t.test("AppArmor", async (t) => {
		const parser = spawnSync("apparmor_parser", ["--add"], { input: PROFILE, encoding: "utf8" });
		t.equal(parser.status, 0, "the profile is loaded", { stderr: parser.stderr });
		const host = await createBusyboxHost("apparmor");
		const app = (profile: string, script: string): Record<string, unknown> => ({
			exec: ["/bin/sh", "-c", script],
			isolators: [{ name: "os/linux/apparmor-profile", value: { profile } }],
		});
		await host.addImage("example.com/confined", {
			app: app("rkt-test", `${LABEL}; ${READ}; echo up; sleep 600`),
		});
		await host.addImage("example.com/unknown", { app: app("no-such-profile", "echo ran") });
		await t.test("app and enter are confined by the profile of the isolator", async (t) => {
			const { app, entered } = await appAndEnter(host, "example.com/confined", `${LABEL}; ${READ}`);
			t.strictSame(app, ["rkt-test (enforce)", "denied"]);
			t.strictSame(entered, app);
		});
		await t.test("without an isolator a pod is not", async (t) => {
			const result = await host.shell(`${LABEL}; ${READ}`);
			t.strictSame(outputLines(result), ["unconfined", "readable"]);
		});
		await t.test("a profile that is not loaded", async (t) => {
			const result = await host.rkt(["run", "--net=none", "example.com/unknown"]);
			t.equal(result.status, 254);
			const message = "app unknown asks for the AppArmor profile no-such-profile, which is not loaded";
			t.strictSame(result.stderr.split("\n").slice(-3), [
				`run: ${message}`,
				"hint: load it with apparmor_parser --add FILE, or remove the isolator from the image",
				"",
			]);
			t.equal(result.stdout, "");
		});
	});
}
